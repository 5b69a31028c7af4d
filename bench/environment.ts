/** What programs are started with, and where those that are compiled here lie. */
import { keep } from "../launch/cache/store.js";
import { fail } from "../spec/error.js";
import type { Host } from "../spec/host.js";

/**
 * The same for all. What npm adds, and NODE_OPTIONS and NODE_EXTRA_CA_CERTS, which slow every Node
 * down that starts, are not in it.
 */
export const environment: NodeJS.ProcessEnv = Object.fromEntries(
  ["PATH", "HOME", "USER", "TERM", "LANG", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"].flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  ),
);

/** Makes a file of the program, where sbx keeps its own; the caller removes it. */
export function executable(bytes: Uint8Array, { user }: Host): string {
  const { home, uid } = user;
  const kept = keep(bytes, { env: environment, home, uid, nowMs: Date.now() });
  if (kept.kind === "file") return kept.path;
  return fail(
    "keep a program",
    kept.refusals.join("; "),
    "Set XDG_CACHE_HOME to a directory where programs may be executed",
  );
}

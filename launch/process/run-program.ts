/** Programs that are started by this process, as a child, and not by the launcher in its place. */
import { type SpawnSyncReturns, type StdioOptions, spawnSync } from "node:child_process";
import type { Host } from "../../spec/host.js";
import { keep } from "../cache/store.js";

/** Runs it to its end; `error` is set where it could not be started, or took longer. */
export async function runProgram(
  bytes: Uint8Array,
  { user }: Host,
  env: NodeJS.ProcessEnv,
  options: { readonly stdio: StdioOptions; readonly timeoutMs?: number },
): Promise<SpawnSyncReturns<Buffer>> {
  const { stdio, timeoutMs: timeout } = options;
  const kept = keep(bytes, { env, home: user.home, uid: user.uid, nowMs: Date.now() });
  const start = (path: string) =>
    spawnSync(path, [], { stdio, timeout, killSignal: "SIGKILL", maxBuffer: 16 << 20 });
  if (kept.kind === "file") return start(kept.path);
  return (await import("../trial/memory.js")).withMemoryFile(bytes, start);
}

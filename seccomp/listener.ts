/** Who answers for the calls that a filter asks about (SCMP_ACT_NOTIFY). */
import { posix } from "node:path";
import { fail } from "../spec/error.js";
import type { Step } from "../spec/step.js";
import type { ResolvedProfile } from "./resolve.js";

/** sun_path of unix(7) without its NUL. */
const maxPathBytes = 107;

const absent =
  "Start the seccomp agent first: it has to listen there, on a stream socket that you may write to";

/** Hands the filter's listener to the socket that the profile names. */
export function listenerStep(
  { path, metadata }: NonNullable<ResolvedProfile["listener"]>,
  source: string,
  state: { readonly ociVersion: string; readonly bundle: string },
): Step {
  const at = `${source}: listenerPath`;
  if (path === null) {
    fail(at, "is missing, and SCMP_ACT_NOTIFY needs someone who answers", "Name an agent's socket");
  }
  if (!posix.isAbsolute(path)) fail(at, `must be an absolute path, not ${path}`);
  if (Buffer.byteLength(path) > maxPathBytes) {
    fail(at, `is longer than the ${maxPathBytes} bytes that a socket's path may have`);
  }
  return {
    role: "monitor",
    phase: "seccomp",
    action: { kind: "handListener", path, metadata, ...state },
    hints: {
      ENOENT: absent,
      ECONNREFUSED: absent,
      EACCES: absent,
      EPROTOTYPE: absent,
      EAGAIN: "The seccomp agent there does not take what it is sent",
    },
  };
}

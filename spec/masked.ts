/** Which paths a mask can hide. */
import { posix } from "node:path";

/**
 * Why the path, absolute and as the sandbox sees it, cannot be masked, or null where it can. What is
 * below /proc/PID belongs to one process, and /proc/self, with the links /proc/mounts and /proc/net
 * into it, is another directory for each: the init that mounts the mask would hide its own alone
 * (proc(5)).
 */
export function maskRefusal(path: string): string | null {
  const normal = posix.normalize(path).replace(/(?<=.)\/$/, "");
  if (normal === "/") return "the whole root cannot be masked";
  if (/^\/proc\/(self|thread-self|mounts|net|[0-9]+)(\/|$)/.test(normal)) {
    return `${normal} is another file for each process, of which a mask hides one`;
  }
  return null;
}

/** Id maps of a user namespace within another, which has maps of its own. */
import { fail } from "../spec/error.js";
import type { Mapping } from "../spec/spec.js";

/**
 * `wanted`, whose hostIDs are ids outside of both, with those of the outer namespace in their place,
 * `outer` being its map. Throws an `SbxError` where that lacks one.
 */
export function nestMappings(
  wanted: readonly Mapping[],
  outer: readonly Mapping[],
  kind: "uid" | "gid",
): Mapping[] {
  const lines = wanted.flatMap((line) =>
    outer.flatMap((around) => {
      const first = Math.max(line.hostID, around.hostID);
      const end = Math.min(line.hostID + line.size, around.hostID + around.size);
      return first >= end
        ? []
        : [
            {
              containerID: line.containerID + first - line.hostID,
              hostID: around.containerID + first - around.hostID,
              size: end - first,
            },
          ];
    }),
  );
  const count = (mappings: readonly Mapping[]) => mappings.reduce((sum, { size }) => sum + size, 0);
  if (count(lines) < count(wanted)) {
    fail(
      `map ${kind}s`,
      "some of them do not exist in the user namespace that the sandbox is to be in",
      `Map others with --${kind}map`,
    );
  }
  return lines.sort((a, b) => a.containerID - b.containerID);
}

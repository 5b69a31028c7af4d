/** Why the ids of a user do not suffice, and what an administrator can do about it. */
import { assertNever } from "../spec/assert-never.js";
import type { Host } from "../spec/host.js";
import { maxId, renderRanges } from "./ranges.js";

export type IdKind = "uid" | "gid";

/**
 * - `subids`: the user has no lines in /etc/subuid or /etc/subgid.
 * - `namespace`: those that the user has do not exist in the user namespace that sbx runs in.
 * - `helpers`: newuidmap(1) or newgidmap(1) is not installed.
 * - `privileges`: no_new_privs is set, so that these gain no rights from their set-user-ID bit.
 */
export const lacks = ["subids", "namespace", "helpers", "privileges"] as const;
export type Lack = (typeof lacks)[number];

/** What a lack is called, and the way out of it, in the fields of a `Problem`. */
export interface LackText {
  readonly why: string;
  readonly hint: string;
}

/** The text for a lack that concerns `kinds` of ids. */
export function describeLack(lack: Lack, kinds: readonly IdKind[], host: Host): LackText {
  switch (lack) {
    case "subids":
      return {
        why: `${host.user.name ?? `uid ${host.user.uid}`} has no subordinate ids in ${files(kinds)}`,
        hint: addSubids(kinds, host),
      };
    case "namespace": {
      const ranges = kinds.flatMap((kind) => (kind === "uid" ? host.subuids : host.subgids));
      return {
        why: `the subordinate ids ${renderRanges(ranges)} do not exist in this user namespace`,
        hint: "Give the container that sbx runs in a larger id map.",
      };
    }
    case "helpers":
      return {
        why: `${missingHelpers(host)} not found in PATH or /usr/bin`,
        // One package has both.
        hint: "Install the package: sudo apt install uidmap (Debian, Ubuntu), sudo dnf install shadow-utils (Fedora).",
      };
    case "privileges":
      return {
        why: "no_new_privs is set here, so newuidmap and newgidmap gain no rights (prctl(2))",
        hint: "Start sbx from where it is not set, as in a login shell.",
      };
    default:
      return assertNever(lack);
  }
}

/** As many as a distribution's useradd(8) gives, and its images expect: login.defs(5). */
const usualSize = 65_536;

/**
 * How to get subordinate ids, or more of them: usermod(8) of shadow 4.2 and later. The ids are such
 * as no other user has: whoever has those of another could enter that one's sandboxes.
 */
export function addSubids(
  kinds: readonly IdKind[],
  { user, freeSubids }: Pick<Host, "user" | "freeSubids">,
): string {
  const full = kinds.find((kind) => freeSubids[kind] + usualSize - 1 > maxId);
  if (full !== undefined) {
    return `An administrator gives them in ${files(kinds)}; above the ranges of other users none are left in /etc/sub${full}.`;
  }
  if (user.name === null) {
    const lines = kinds.map(
      (kind) => `${user.uid}:${freeSubids[kind]}:${usualSize} added to /etc/sub${kind}`,
    );
    return `Have the line ${lines.join(", and ")}.`;
  }
  const flags = kinds.map((kind) => {
    const first = freeSubids[kind];
    return `--add-sub${kind}s ${first}-${first + usualSize - 1}`;
  });
  return `An administrator gives them with: sudo usermod ${flags.join(" ")} ${user.name}`;
}

function files(kinds: readonly IdKind[]): string {
  return kinds.map((kind) => `/etc/sub${kind}`).join(" and ");
}

function missingHelpers({ newuidmap, newgidmap }: Host): string {
  if (newuidmap === null)
    return newgidmap === null ? "newuidmap and newgidmap were" : "newuidmap was";
  return "newgidmap was";
}

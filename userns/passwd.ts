/** `--user`: a user of the rootfs, looked up in the rootfs's own passwd(5) and group(5) files. */
import { fail } from "../spec/error.js";
import { nearest } from "../spec/nearest.js";
import { maxId, parseId } from "./ranges.js";

/** Who the payload runs as, ids as the sandbox numbers them. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** In the order of the group file, each once. */
  readonly additionalGids: readonly number[];
  /** Absolute path inside. */
  readonly home: string;
  /** Null for a uid without an entry. */
  readonly name: string | null;
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/**
 * Resolves `name|uid[:group|gid]` as runc, docker and podman do (GetExecUser of
 * github.com/moby/sys/user). A number is always an id, even where an entry has it as its name: a
 * rootfs is not trusted to turn uid 1000 into root. A uid without an entry has gid 0 and home `/`.
 * Supplementary groups are those that list the user, and none where a group is given. Absent or
 * empty, the user is root.
 *
 * `passwd` and `group` are the texts of the files, null where there are none that can be read;
 * malformed lines are passed over. Gives up on names without an entry and ids above 2^32-2.
 */
export function resolveUser(
  userArg: string | undefined,
  passwd: string | null,
  group: string | null,
): ResolvedUser {
  const [userPart = "", ...rest] = (userArg ?? "").split(":");
  const groupPart = rest.join(":");
  const groups = parseGroup(group ?? "");
  const user = findUser(userPart, passwd);
  if (groupPart !== "")
    return { ...user, gid: findGid(groupPart, groups, group !== null), additionalGids: [] };
  const { name } = user;
  const gids = name === null ? [] : groups.filter((g) => g.members.includes(name));
  return { ...user, additionalGids: [...new Set(gids.map((g) => g.gid))] };
}

function findUser(wanted: string, passwd: string | null): Omit<ResolvedUser, "additionalGids"> {
  const entries = parsePasswd(passwd ?? "");
  if (wanted === "") {
    const root = entries.find((entry) => entry.uid === 0);
    return { uid: 0, gid: 0, home: root?.home ?? "/root", name: root?.name ?? "root" };
  }
  const uid = requireId(wanted, `user ${wanted}`);
  const entry = entries.find((e) => (uid === null ? e.name === wanted : e.uid === uid));
  if (entry !== undefined) return entry;
  if (uid !== null) return { uid, gid: 0, home: "/", name: null };
  return unknown("user", wanted, "/etc/passwd", passwd !== null, entries);
}

function findGid(wanted: string, groups: readonly GroupEntry[], isReadable: boolean): number {
  const gid = requireId(wanted, `group ${wanted}`);
  if (gid !== null) return gid;
  const entry = groups.find((g) => g.name === wanted);
  return entry?.gid ?? unknown("group", wanted, "/etc/group", isReadable, groups);
}

/** The id where the text is one, null where it is a name. */
function requireId(text: string, what: string): number | null {
  const id = parseId(text);
  if (id === null && /^\d+$/.test(text))
    fail(what, `ids go from 0 to ${maxId}`, "Give a smaller number.");
  return id;
}

function unknown(
  kind: string,
  wanted: string,
  file: string,
  isReadable: boolean,
  entries: readonly { readonly name: string }[],
): never {
  if (!isReadable)
    fail(
      `${kind} ${wanted}`,
      `the rootfs has no ${file} that can be read`,
      "Give a number instead.",
    );
  const names = entries.map((entry) => entry.name);
  const likely = nearest(wanted, names);
  const hint =
    likely === null
      ? `Give a number${names.length === 0 ? "" : ` or one of: ${names.slice(0, 6).join(", ")}${names.length > 6 ? ", …" : ""}`}.`
      : `Did you mean ${likely}? A number will do as well.`;
  fail(`${kind} ${wanted}`, `the rootfs's ${file} has no such ${kind}`, hint);
}

function parsePasswd(text: string): PasswdEntry[] {
  return fieldsOf(text).flatMap(([name = "", , uidText = "", gidText = "", , home = ""]) => {
    const [uid, gid] = [parseId(uidText), parseId(gidText)];
    if (name === "" || uid === null || gid === null) return [];
    return [{ name, uid, gid, home: home.startsWith("/") ? home : "/" }];
  });
}

function parseGroup(text: string): GroupEntry[] {
  return fieldsOf(text).flatMap(([name = "", , gidText = "", members = ""]) => {
    const gid = parseId(gidText);
    return name === "" || gid === null ? [] : [{ name, gid, members: members.split(",") }];
  });
}

/** A NUL would cut the home directory short on its way through execve(2): such a line is malformed. */
function fieldsOf(text: string): string[][] {
  const lines = text.split("\n").map((line) => line.trim());
  return lines
    .filter((line) => !line.startsWith("#") && !line.includes("\0"))
    .map((line) => line.split(":"));
}

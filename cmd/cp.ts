/** `sbx cp`: files into sandboxes and out of them, as docker and podman copy them. */
import type { ChildProcess } from "node:child_process";
import { basename, posix, resolve } from "node:path";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { isatty } from "node:tty";
import type { Pack, Unpack } from "../launch/copy/job.js";
import { pack } from "../launch/copy/pack.js";
import { hostTree } from "../launch/copy/tree.js";
import { unpack } from "../launch/copy/unpack.js";
import type { Door } from "../launch/programs/doorway.js";
import { fail } from "../spec/error.js";
import { brokenPipe, say } from "./copy-side.js";
import { withDoor } from "./door.js";
import { copyCommands } from "./options/copy.js";
import type { FlagsOf } from "./options/option.js";
import { parseWords } from "./parse.js";

/** One of the two words of a copy. */
type Place =
  | { readonly kind: "stream" }
  | { readonly kind: "host"; readonly path: string }
  | { readonly kind: "sandbox"; readonly name: string; readonly path: string };

/** `argv` is what follows `cp`. Gives 1 where something was left out. */
export async function cp(argv: readonly string[]): Promise<number> {
  const { flags, words } = parseWords(argv, copyCommands.cp.options);
  const what = ["cp", ...argv].join(" ");
  const [from, to, ...more] = words.map(readPlace);
  if (from === undefined || to === undefined || more.length > 0) {
    fail(what, "two places are to be named", "The form is sbx cp SRC DST, one of them NAME:PATH");
  }
  if (from.kind !== "sandbox" && to.kind !== "sandbox") {
    fail(what, "neither of the two is in a sandbox", "Name that as NAME:PATH");
  }
  if (to.kind === "stream" && isatty(1)) {
    fail(what, "an archive is no text, and standard output is a terminal", "Redirect it: > FILE");
  }
  const writing: Pack = {
    kind: "pack",
    path: from.kind === "stream" ? "" : from.path,
    name: (to.kind === "stream" && nameOf(from)) || ".",
    follow: flags["follow-link"] === true,
    precise: to.kind !== "stream",
  };
  const reading = readingOf(from, to, flags);
  return through(from, (source) => {
    const isSame = from.kind === "sandbox" && to.kind === "sandbox" && from.name === to.name;
    if (isSame) return copy(source, writing, source, reading);
    return through(to, (target) => copy(source, writing, target, reading));
  });
}

/** docker's: a NAME has no slash, and a path of this machine with a colon begins with one or a dot. */
function readPlace(word: string): Place {
  if (word === "-") return { kind: "stream" };
  const [, name, path] = /^([^/.:][^/:]*):(.*)$/s.exec(word) ?? [];
  if (name === undefined || path === undefined) {
    if (word === "") fail("cp", "a path is empty", "The form is sbx cp SRC DST");
    return { kind: "host", path: word };
  }
  if (path === "") fail(`cp ${word}`, "no path is named", `Its root is ${name}:/`);
  return { kind: "sandbox", name, path: path.startsWith("/") ? path : `/${path}` };
}

/** What the source is called where it comes into a directory; null where all that is in it does. */
function nameOf(place: Place): string | null {
  if (place.kind === "stream" || /(^|\/)\.$/.test(place.path)) return null;
  const normal = place.kind === "host" ? resolve(place.path) : posix.normalize(place.path);
  return basename(normal) || null;
}

function readingOf(from: Place, to: Place, flags: FlagsOf<typeof copyCommands.cp.options>): Unpack {
  const name = nameOf(from);
  return {
    kind: "unpack",
    path: to.kind === "stream" ? "" : to.path,
    as: from.kind === "stream" ? null : name === null ? "contents" : { name },
    overwrite: flags.overwrite === true,
    // Nobody but root can give files away.
    keepsOwners: flags.archive === true && (to.kind === "sandbox" || process.getuid?.() === 0),
  };
}

/** A way into a sandbox, or the other kinds of places as they are. */
type Side = Door | "stream" | "host";

const through = (place: Place, use: (side: Side) => Promise<number>): Promise<number> =>
  place.kind === "sandbox" ? withDoor(place.name, false, use) : use(place.kind);

/** Both sides at the same time. */
async function copy(from: Side, writing: Pack, to: Side, reading: Unpack): Promise<number> {
  const reader =
    typeof to === "string"
      ? null
      : await to(reading, [from === "stream" ? "inherit" : "pipe", "inherit"]);
  const writer =
    typeof from === "string"
      ? null
      : await from(writing, ["ignore", to === "stream" ? "inherit" : "pipe"]);
  const children = [reader, writer].filter((child) => child !== null);
  const own: Promise<number>[] = [];
  if (from === "host") own.push(pack(hostTree, writing, reader?.stdin as Writable, say));
  else if (to === "host") own.push(unpack(hostTree, reading, writer?.stdout as Readable, say));
  else if (reader?.stdin && writer?.stdout) {
    own.push(pipeline(writer.stdout, reader.stdin).then(() => 0));
  }
  // What has failed here ends the others, which could wait for more.
  const watched = own.map((each) =>
    each.catch((error) => {
      for (const child of children) child.kill();
      throw error;
    }),
  );
  const [codes, results] = await Promise.all([
    Promise.all(children.map(ended)),
    Promise.allSettled(watched),
  ]);
  // Each of them has told why it failed, unless the other side was the first.
  const failed = codes.find((code) => code > 0 && code !== brokenPipe);
  if (failed !== undefined) return failed;
  for (const result of results) if (result.status === "rejected") throw result.reason;
  return Math.max(
    ...codes,
    ...results.map((each) => (each.status === "fulfilled" ? each.value : 1)),
  );
}

/** The exit code; 0 where a signal has ended it, which is ours. */
export function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 0));
  });
}

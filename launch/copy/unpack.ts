/** A tar archive as files: where they go, and in which order. */

import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as tar from "tar-stream";
import { fail, visible } from "../../spec/error.js";
import type { Unpack } from "./job.js";
import { confine, explain, fromText, locate, statOf, type Tree } from "./tree.js";
import { finish, type Target, take } from "./unpack-entry.js";

/** Gives how many entries were left out, of which `say` was told. Throws an `SbxError` where it cannot go on. */
export async function unpack(
  tree: Tree,
  job: Unpack,
  input: Readable,
  say: (line: string) => void,
): Promise<number> {
  const archive = tar.extract();
  const read = pipeline(input, archive as unknown as Writable);
  read.catch(() => {});
  const begin = (first: tar.Header | null): Target => ({
    ...targetOf(tree, job, first),
    job,
    made: new Map(),
    failures: 0,
    say,
  });
  let target: Target | null = null;
  let what = `copy to ${job.path}`;
  try {
    for await (const entry of archive) {
      const { header } = entry;
      target ??= begin(header);
      if (header.name !== ".") what = visible(`copy ${header.name} to ${job.path}`);
      await take(target, header, entry as AsyncIterable<Buffer>);
      entry.resume();
    }
    await read;
    target ??= begin(null);
    for (const [path, header] of [...target.made].reverse()) finish(target, path, header);
  } catch (error) {
    archive.destroy();
    // That is how tar-stream throws.
    if (error instanceof Error && error.name === "Error" && !("code" in error)) {
      fail("read the archive", error.message, "Give an uncompressed tar archive");
    }
    explain(error, what);
  }
  return target.failures;
}

/** As `docker cp` and `podman cp` have it; `first` is null in an empty archive. */
function targetOf(tree: Tree, job: Unpack, first: tar.Header | null) {
  const what = `copy to ${job.path}`;
  const place = locate(tree, fromText(job.path), true);
  const there = statOf(place);
  const { as } = job;
  if (there?.isDirectory()) {
    const whole = confine(tree, place);
    if (as === null || as === "contents") return whole;
    return { ...whole, path: `${whole.path}/${fromText(as.name)}` };
  }
  const isDirectory = first?.type === "directory";
  if (as === null || (!isDirectory && job.path.endsWith("/"))) {
    fail(what, there === null ? "there is no such directory" : "it is no directory", "Make it");
  }
  if (there !== null && isDirectory && !job.overwrite) {
    fail(what, "a directory cannot take the place of a file", "--overwrite removes the file");
  }
  return confine(tree, place);
}

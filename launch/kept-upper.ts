/**
 * What lies beside a kept upper `DIR`: its work directory `DIR.work`, and in it the record `sbx.json`,
 * which says what the upper was laid over. The record makes a directory an upper of sbx's, and who
 * uses the upper holds a lock on it (flock(2)).
 */
import * as fs from "node:fs";
import { fail } from "../spec/error.js";
import { list, nonEmptyText, object, oneOf } from "../spec/shape.js";
import { isSystemError } from "./in-root.js";

export interface UpperRecord {
  /** The directories below it, absolute, topmost first. */
  lowers: string[];
  /** Which overlay wrote it: fuse-overlayfs may mark what is deleted by files named `.wh.NAME`. */
  overlay: "kernel" | "fuse";
}

export const workOf = (upper: string) => `${upper}.work`;
export const recordOf = (upper: string) => `${workOf(upper)}/sbx.json`;

/** Writes the record; the work directory is there. */
export function writeUpperRecord(upper: string, record: UpperRecord): void {
  fs.writeFileSync(recordOf(upper), `${JSON.stringify(record)}\n`, { mode: 0o600 });
}

/** The fd of the record, open to be read and locked; null where `upper` has none. */
export function openUpperRecord(upper: string): number | null {
  try {
    return fs.openSync(recordOf(upper), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
  } catch (error) {
    if (isSystemError(error) && ["ENOENT", "ENOTDIR", "ELOOP"].includes(error.code)) return null;
    throw error;
  }
}

const shape = object<UpperRecord>({
  lowers: list(nonEmptyText),
  overlay: oneOf("kernel", "fuse"),
});

/** The record of `upper`, null where it has none. Gives up on one that sbx has not written. */
export function readUpperRecord(upper: string): UpperRecord | null {
  const fd = openUpperRecord(upper);
  if (fd === null) return null;
  const what = `read ${recordOf(upper)}`;
  try {
    const value: unknown = JSON.parse(fs.readFileSync(fd, "utf8"));
    return shape(value, "it", (at, why) => fail(what, `${at} ${why}`)) as UpperRecord;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return fail(what, "it is no JSON", "Name what lies below the upper with --lower");
  } finally {
    fs.closeSync(fd);
  }
}

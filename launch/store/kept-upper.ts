/**
 * What lies beside a kept upper `DIR`: its work directory `DIR.work`, and in it the record `sbx.json`,
 * which says what the upper was laid over. The record makes a directory an upper of sbx's. Who uses the
 * upper holds a lock on the directory itself (flock(2)).
 */
import * as fs from "node:fs";
import type { UpperRecord } from "../../spec/actions/layers.js";
import { fail } from "../../spec/error.js";
import { list, nonEmptyText, object, oneOf } from "../../spec/shape.js";
import { isSystemError } from "../facts/system-error.js";

export const workOf = (upper: string) => `${upper}.work`;
export const recordOf = (upper: string) => `${workOf(upper)}/sbx.json`;

/** What is in the file, which the program writes as it takes the upper into use. */
export const recordText = (record: UpperRecord) => `${JSON.stringify(record)}\n`;

/** The fd of the record, open to be read; null where `upper` has none. */
function openUpperRecord(upper: string): number | null {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  try {
    // O_NONBLOCK: a FIFO of that name must not keep us waiting.
    return fs.openSync(recordOf(upper), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
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

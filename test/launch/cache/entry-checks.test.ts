/** Readings of the machine as checks: those that were right and no longer are give none. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { checksOf } from "../../../launch/cache/entry-checks.js";
import {
  existsSync,
  readdirSync,
  readText,
  whileRecording,
} from "../../../launch/facts/readings.js";
import { temporaryDirectory } from "../../support/inside.js";
import { suite } from "../../support/suite.js";

const test = suite("launch/cache/entry-checks");

const later = Date.now() + 60_000;
/** The checks of what was read a minute after the last change, `then` aside. */
async function checked(read: () => unknown, then = () => {}) {
  const { recording } = await whileRecording(later, async () => {
    try {
      read();
    } catch {
      // What cannot be read is a reading, too.
    }
  });
  then();
  return checksOf(recording)?.length ?? null;
}

test("what is removed after it was read, and before it is looked at again", async () => {
  const directory = temporaryDirectory("entry-checks");
  const file = join(directory, "file");
  for (const read of [() => readText(file), () => existsSync(file), () => readdirSync(file)]) {
    assert.is(await checked(read), 1, "absent");
  }
  for (const read of [() => readText(file), () => existsSync(file)]) {
    fs.writeFileSync(file, "");
    assert.is(await checked(read), 1, "there");
    assert.is(await checked(read, () => fs.rmSync(file)), null, "removed");
  }
});

test.run();

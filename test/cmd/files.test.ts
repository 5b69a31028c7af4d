import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { readText } from "../../cmd/files.js";
import { failureOf } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const test = suite("cmd/files");
let directory = "";
test.before(() => {
  directory = mkdtempSync(join(tmpdir(), "sbx-files-"));
});
test.after(() => rmSync(directory, { recursive: true }));

const pipes = { pipes: true };
const failure = (path: string) => failureOf(() => readText(path, "--config X", pipes));

test("reads a file, and gives null for none", () => {
  const path = join(directory, "text");
  const text = "é".repeat(100_000);
  writeFileSync(path, text);
  assert.is(readText(path, "at", pipes), text);
  assert.is(readText(join(directory, "none"), "at", pipes), null);
});

test("what is no file says what it is, in one line with the errno", () => {
  const file = join(directory, "file");
  writeFileSync(file, "");
  assert.match(failure(directory), /^sbx: --config X: is a directory \(EISDIR\)\. /);
  assert.match(failure(join(file, "x")), /^sbx: --config X: not a directory \(ENOTDIR\)\. /);
  assert.match(failure("/dev/zero"), /^sbx: --config X: is a device\. /);
  assert.match(failure("/dev/null"), /is a device/);
  const site = failureOf(() => readText(directory, "read /etc/sbx/sbx.ini", pipes));
  assert.match(site, /EISDIR.*every run: mend it/);
});

test("a file that is too large is refused", () => {
  const path = join(directory, "large");
  writeFileSync(path, "");
  truncateSync(path, 16 * 1024 * 1024);
  assert.is(readText(path, "at", pipes)?.length, 16 * 1024 * 1024);
  truncateSync(path, 16 * 1024 * 1024 + 1);
  assert.match(failure(path), "is larger than 16777216 bytes");
});

test("a pipe is read, but not a second time", () => {
  const path = join(directory, "fifo");
  execFileSync("mkfifo", [path]);
  const writer = spawn("sh", ["-c", 'echo A=1 >"$0"', path]);
  assert.is(readText(path, "at", pipes), "A=1\n");
  writer.kill();
  const refused = failureOf(() => readText(path, "--env-file F", { pipes: false }));
  assert.match(refused, /^sbx: --env-file F: is a pipe, which was read already/);
});

test.run();

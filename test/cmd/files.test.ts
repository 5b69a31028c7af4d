import { execFileSync, spawn } from "node:child_process";
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { readText, writeWhole } from "../../cmd/files.js";
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

test("a file is written as a whole: who has the old one open keeps it, and nothing is left over", () => {
  const place = join(directory, "whole");
  mkdirSync(place);
  const file = join(place, "file");
  writeWhole(file, "first", "at");
  linkSync(file, join(directory, "old"));
  writeWhole(file, new Uint8Array([50]), "at");
  assert.is(readFileSync(file, "utf8"), "2");
  assert.is(readFileSync(join(directory, "old"), "utf8"), "first");
  assert.equal(readdirSync(place), ["file"]);
  const failed = failureOf(() => writeWhole(place, "x", "--output place"));
  assert.match(failed, /^sbx: --output place: .*\(EISDIR\)\. Give a path that you may write to$/);
  assert.match(
    failureOf(() => writeWhole(join(place, "none/x"), "x", "at")),
    "(ENOENT)",
  );
  writeWhole("/dev/null", "x", "at");
  assert.ok(statSync("/dev/null").isCharacterDevice());
});

test.run();

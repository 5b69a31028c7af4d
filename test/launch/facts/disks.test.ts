import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { findDisk, splitDeviceNumber, wholeDisk } from "../../../launch/facts/disks.js";
import { suite } from "../../support/suite.js";

const test = suite("launch/disks");

let top = "";
test.before(() => {
  top = mkdtempSync(join(tmpdir(), "sbx-disks-"));
  mkdirSync(join(top, "block"));
  mkdirSync(join(top, "sda/sda1"), { recursive: true });
  writeFileSync(join(top, "sda/dev"), "8:0\n");
  writeFileSync(join(top, "sda/sda1/dev"), "8:1\n");
  writeFileSync(join(top, "sda/sda1/partition"), "1\n");
  symlinkSync("../sda", join(top, "block/8:0"));
  symlinkSync("../sda/sda1", join(top, "block/8:1"));
});
test.after(() => rmSync(top, { recursive: true }));

test("a partition is one of its disk", () => {
  const disks = ["8:0", "8:1", "9:9"].map((number) => wholeDisk(number, join(top, "block")));
  assert.equal(disks, ["8:0", "8:0", null]);
});

test("numbers as the kernel packs them", () => {
  assert.equal(splitDeviceNumber(0x801n), { major: 8, minor: 1 });
  assert.equal(splitDeviceNumber(0x10305n), { major: 259, minor: 5 });
  assert.equal(splitDeviceNumber(0x12300867n), { major: 8, minor: 0x12367 });
});

test("what is no disk is refused", () => {
  assert.throws(() => findDisk("/dev/null", "--x"), /--x: it is no block device/);
  assert.throws(() => findDisk(join(top, "none"), "--x"), /--x: .*ENOENT/);
});

test.run();

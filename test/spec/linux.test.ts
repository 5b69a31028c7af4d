/** The generated tables, against the headers, strerror and the machine. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { errnoNumbers, errnoTexts, signalNumbers, syscallNumbers } from "../../spec/linux.js";
import { suite } from "../support/suite.js";

const test = suite("linux");

const generator = fileURLToPath(new URL("../../spec/generate-linux.ts", import.meta.url));
const headers = existsSync("/usr/include/asm-generic/unistd.h");

if (process.arch !== "x64" || !headers) {
  test.skip("is what the headers give", "there are no x86-64 kernel headers in /usr/include");
} else {
  test("is what the headers give", () => {
    const check = spawnSync(process.execPath, ["--import", "tsx", generator, "--check"]);
    assert.is(check.stderr.toString(), "");
    assert.is(check.status, 0);
  });
}

test("both architectures have the same calls, each with its own number", () => {
  const { x86_64, aarch64 } = syscallNumbers;
  assert.equal(Object.keys(x86_64), Object.keys(aarch64));
  for (const numbers of [x86_64, aarch64]) {
    assert.is(new Set(Object.values(numbers)).size, Object.keys(numbers).length);
  }
  // syscalls(2) and the tables of linux/arch/{x86,arm64}.
  assert.equal(
    ["read", "newfstatat", "mmap", "fcntl", "clone3", "landlock_restrict_self"].map((name) => [
      x86_64[name],
      aarch64[name],
    ]),
    [
      [0, 63],
      [262, 79],
      [9, 222],
      [72, 25],
      [435, 435],
      [446, 446],
    ],
  );
});

test("errors and signals have the numbers that Node knows", () => {
  const known = Object.entries(constants.errno).filter(([name]) => name in errnoNumbers);
  assert.ok(known.length > 70);
  for (const [name, number] of known) assert.is(errnoNumbers[name], number, name);
  assert.is(Object.keys(signalNumbers).length, 31);
  for (const [name, number] of Object.entries(signalNumbers)) {
    assert.is(constants.signals[name as NodeJS.Signals], number, name);
  }
});

test.needs("python3", "errors have the texts of strerror(3)", () => {
  const script =
    "import os, json, sys; print(json.dumps([os.strerror(int(n)) for n in sys.argv[1:]]))";
  const { stdout } = spawnSync(
    "python3",
    ["-c", script, ...Object.values(errnoNumbers).map(String)],
    {
      env: { ...process.env, LC_ALL: "C" },
    },
  );
  assert.equal(Object.values(errnoTexts), JSON.parse(stdout.toString()));
});

test.run();

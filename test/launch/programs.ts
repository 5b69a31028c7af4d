/** Small programs for the tests of the back end: verified, or compiled and really run. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type Builder, builder, slot } from "../../launch/machine/builder.js";
import type { Program, Value } from "../../launch/machine/ir.js";
import { compile } from "../../launch/machine/link.js";
import { verify } from "../../launch/machine/verify.js";
import type { Architecture } from "../../spec/host.js";
import { emulator, nativeArchitecture } from "../support/skip.js";
import type { Suite } from "../support/suite.js";

/**
 * Compiles what `write` writes, runs it, and gives its exit code and output; where this machine has another
 * architecture, by QEMU, which needs none of the machine's own kernel.
 */
export function runOn(
  architecture: Architecture,
  write: (b: Builder) => void,
  ...args: readonly string[]
) {
  return runProgram(program(write), architecture, ...args);
}

/** The same of a program that is whole. */
export function runProgram(
  whole: Program,
  architecture: Architecture = nativeArchitecture,
  ...args: readonly string[]
) {
  const directory = mkdtempSync(join(tmpdir(), "sbx-"));
  try {
    const path = join(directory, "program");
    writeFileSync(path, compile(whole, architecture), { mode: 0o700 });
    const [file = path, ...words] = [...emulator(architecture), path, ...args];
    const { status, signal, stdout, error } = spawnSync(file, words, { env: {}, timeout: 10_000 });
    if (error !== undefined) throw error;
    return { status, signal, stdout: stdout.toString("latin1") };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The same, on this machine's own. */
export const run = (write: (b: Builder) => void, ...args: readonly string[]) =>
  runOn(nativeArchitecture, write, ...args);

/** What `write` writes; `must` goes to the label `fail`. */
export function program(write: (b: Builder) => void): Program {
  const b = builder();
  b.failTo("fail");
  write(b);
  return b.finish();
}

/** Writes the eight bytes of each value to stdout, and exits with 0, or with errno. */
export function print(values: (b: Builder) => readonly Value[]) {
  return (b: Builder) => {
    const shown = values(b);
    const out = b.buffer("out", 8 * shown.length);
    for (const [index, value] of shown.entries()) b.store(8, out, 8 * index, value);
    b.must("write", [1, out, 8 * shown.length]);
    b.exit(0);
    b.label("fail");
    b.exit(slot("errno"));
  };
}

/** The signed numbers that a program prints. */
export function numbers(
  values: (b: Builder) => readonly Value[],
  architecture = nativeArchitecture,
): bigint[] {
  const { status, signal, stdout } = runOn(architecture, print(values));
  assert.equal([status, signal], [0, null]);
  const bytes = Buffer.from(stdout, "latin1");
  return Array.from({ length: bytes.length / 8 }, (_, index) => bytes.readBigInt64LE(8 * index));
}

/** Adds tests that a program verifies, or has exactly the faults given. */
export function verifying(test: Suite) {
  return {
    sound: (name: string, write: (b: Builder) => void) =>
      test(`${name}: sound`, () => assert.equal(verify(program(write)), [])),
    broken: (name: string, write: (b: Builder) => void, ...faults: readonly string[]) =>
      test(`${name}: refused`, () => assert.equal(verify(program(write)), faults)),
  };
}

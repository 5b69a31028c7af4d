/** System calls that are really made, under a filter: runs calls.c, and reads what became of them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { SeccompArchitecture } from "../../seccomp/architecture.js";
import { encodeFilter, type Instruction } from "../../seccomp/instruction.js";
import { syscallNumber } from "../../seccomp/syscalls.js";
import { runInGuest } from "./guest.js";
import { temporaryDirectory } from "./inside.js";
import { run } from "./once.js";
import { start } from "./sandbox.js";

/** What the program is compiled for. Calls of x32 are x86_64's with a bit in the number. */
export type ProgramArchitecture = Exclude<SeccompArchitecture, "x32">;

export interface Attempt {
  readonly program: ProgramArchitecture;
  readonly filter: readonly Instruction[];
  /** At most 16384. */
  readonly calls: readonly AttemptedCall[];
}

export interface AttemptedCall {
  readonly number: number;
  /** Six at most; those left out are 0. */
  readonly args?: readonly bigint[];
  /** As i386 makes it, by `int $0x80`, from a program for x86_64. */
  readonly asI386?: boolean;
}

/**
 * `returned`, `errno N`, `trapped ERRNO NUMBER ARCH` (by siginfo_t), `thread killed`, `process killed
 * SIGNAL`, or `late` where nothing comes of it.
 */
export type Outcome = string;

/** Makes the calls on this machine, each in a process that the ones before have survived. */
export async function make(attempt: Attempt): Promise<Outcome[]> {
  const program = await compiled(attempt.program);
  const { stdout, stderr } = await start([program], { input: encode(attempt), timeoutMs: 60_000 });
  if (stderr !== "") throw new Error(stderr);
  return decode(stdout, attempt);
}

/** Makes all of them in one guest with an arm64 kernel; `log` is what that kernel has logged. */
export async function makeInGuest(
  attempts: readonly Attempt[],
): Promise<{ outcomes: Outcome[][]; log: string }> {
  const files: Record<string, Uint8Array> = {};
  for (const program of new Set(attempts.map((attempt) => attempt.program))) {
    files[`/${program}`] = readFileSync(await compiled(program));
  }
  for (const [index, attempt] of attempts.entries()) files[`/attempt${index}`] = encode(attempt);
  const init = [
    "echo 0 >/proc/sys/kernel/printk_ratelimit",
    ...attempts.map(({ program }, index) => `/${program} </attempt${index}; echo ----`),
    "dmesg",
  ];
  const output = await runInGuest({ architecture: "aarch64", files, init: init.join("\n") });
  const parts = output.split("----\n");
  const outcomes = attempts.map((attempt, index) => decode(parts[index] ?? "", attempt));
  return { outcomes, log: parts.at(-1) ?? "" };
}

const compilers: Readonly<Record<ProgramArchitecture, readonly string[]>> = {
  x86_64: ["gcc", "-m64"],
  x86: ["gcc", "-m32"],
  aarch64: ["aarch64-linux-gnu-gcc"],
  arm: ["arm-linux-gnueabihf-gcc", "-marm"],
};
/** What the program calls for itself. */
const ownCalls =
  "clone exit_group kill nanosleep prctl prlimit64 read rt_sigaction seccomp wait4 write".split(
    " ",
  );
const made = new Map<ProgramArchitecture, Promise<string>>();

function compiled(program: ProgramArchitecture): Promise<string> {
  let path = made.get(program);
  if (path === undefined) {
    path = compile(program);
    made.set(program, path);
  }
  return path;
}

async function compile(program: ProgramArchitecture): Promise<string> {
  const [compiler = "", ...options] = compilers[program];
  const path = join(temporaryDirectory("calls"), program);
  await run(compiler, [
    ...options,
    ..."-O2 -Wall -Wextra -Werror -static -nostdlib -ffreestanding -fno-pie -no-pie".split(" "),
    // A thread made by hand has no place for a canary, nor a stack that is aligned for vectors.
    ..."-fno-stack-protector -mgeneral-regs-only".split(" "),
    ...ownCalls.map((name) => `-DNR_${name}=${syscallNumber(program, name)}`),
    ...["-o", path, join(import.meta.dirname, "calls.c")],
  ]);
  return path;
}

function encode({ filter, calls }: Attempt): Uint8Array {
  const instructions = new BigUint64Array(encodeFilter(filter).buffer);
  const words = calls.flatMap(({ number, args = [], asI386 = false }) => [
    asI386 ? 1n : 0n,
    BigInt(number),
    ...Array.from({ length: 6 }, (_, index) => args[index] ?? 0n),
  ]);
  const all = [BigInt(filter.length), ...instructions, BigInt(calls.length), ...words];
  return new Uint8Array(new BigUint64Array(all).buffer);
}

function decode(output: string, { calls, program }: Attempt): Outcome[] {
  const lines = output.split("\n").slice(0, -1);
  if (lines.length !== calls.length || output.startsWith("refused")) {
    throw new Error(`the program for ${program} says of ${calls.length} calls:\n${output}`);
  }
  return lines.map(readOutcome);
}

function readOutcome(line: string): Outcome {
  const [, what, ...words] = /^(\D+) (\S+) (\S+) (\S+)$/.exec(line) ?? [];
  const [first = 0n, ...others] = words.map((word) => BigInt.asIntN(64, BigInt(`0x${word}`)));
  switch (what) {
    case "returned":
      return first < 0n && first >= -4095n ? `errno ${-first}` : "returned";
    case "trapped":
      return `trapped ${[first, ...others].join(" ")}`;
    case "process gone":
      return `process killed ${first}`;
    case "thread gone":
      return "thread killed";
    case "late":
      return "late";
    default:
      throw new Error(`no outcome: ${line}`);
  }
}

/** Profiles in the kernel: calls under the default one, and the verdict on every number under each. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { auditArch, type SeccompArchitecture, x32Bit } from "../../seccomp/architecture.js";
import { compileFilter } from "../../seccomp/compile.js";
import { decide } from "../../seccomp/decide.js";
import { type Instruction, opcodes } from "../../seccomp/instruction.js";
import type { Profile } from "../../seccomp/profile.js";
import { readProfile } from "../../seccomp/read.js";
import { resolveProfile } from "../../seccomp/resolve.js";
import type { RuleSet } from "../../seccomp/rules.js";
import { tableOf } from "../../seccomp/syscalls.js";
import { errno } from "../../seccomp/verdict.js";
import { defaultCapabilities } from "../../userns/capabilities.js";
import type { ProgramArchitecture } from "../support/calls.js";
import { allowing, asArgument, numberOf, type Trial, trial } from "./seccomp-trial.js";

export function profileTrials(program: ProgramArchitecture): Record<string, readonly Trial[]> {
  return {
    "the default profile": callsByDefault(program),
    ...Object.fromEntries(
      Object.entries(profiles).map(([name, profile]) => [
        `every number under ${name}`,
        [everyNumber(program, rulesOf(program, profile))],
      ]),
    ),
  };
}

/** By the names of their files. */
const profiles: Record<string, Profile> = {};
const folder = join(import.meta.dirname, "../seccomp/profiles");
const own = readdirSync(folder).filter((name) => name.endsWith(".json"));
for (const path of ["../../../seccomp/default.json", ...own]) {
  const name = basename(path);
  profiles[name] = await readProfile(readFileSync(join(folder, path), "utf8"), name);
}

/** On the program's machine. */
function rulesOf(program: ProgramArchitecture, profile: Profile): RuleSet {
  return resolveProfile(profile, {
    architecture: program.startsWith("x86") ? "x86_64" : "aarch64",
    capabilities: defaultCapabilities,
    kernel: { major: 6, minor: 1 },
  }).ruleSet;
}

const [EPERM, EBADF, EINVAL, ENOSYS] = ["errno 1", "errno 9", "errno 22", "errno 38"] as const;
/** What comes of calls to root and to others, without a filter and under this one. */
const calls = [
  ["getpid", "returned", "returned"],
  ["read", EBADF, EBADF, 0xffffffffn],
  ["personality", "returned", "returned", 0xffffffffn],
  ["personality", "returned", EPERM, 1n],
  // CLONE_SIGHAND without CLONE_VM, CLONE_NEWUSER with CLONE_FS: no call of these makes a process.
  ["clone", EINVAL, EINVAL, 0x800n],
  ["clone", EINVAL, EPERM, 0x10000200n],
  ["clone3", EINVAL, ENOSYS],
  ["unshare", "returned", EPERM],
  ["setns", EBADF, EPERM, 0xffffffffn],
  ["add_key", "errno 14", EPERM],
  // AF_UNIX and AF_VSOCK, with a type that there is not.
  ["socket", EINVAL, EINVAL, 1n, 15n],
  ["socket", EINVAL, EPERM, 40n, 15n],
  // Above all that any profile names, arm's own calls among them.
  [0xf0010, ENOSYS, ENOSYS],
] as const;

function callsByDefault(program: ProgramArchitecture): Trial[] {
  return [
    trial(
      program,
      allowing(program),
      ...calls.map(([call, bare, , ...args]) => [call, bare, ...args] as const),
    ),
    trial(
      program,
      rulesOf(program, profiles["default.json"] as Profile),
      ...calls.map(([call, , under, ...args]) => [call, under, ...args] as const),
    ),
  ];
}

/**
 * Every number of the program's architectures, and some that are none, with arguments at the constants
 * of each rule and beside them. Each verdict becomes an errno of its own, so that nothing is done.
 */
function everyNumber(program: ProgramArchitecture, rules: RuleSet): Trial {
  const { filter, outcomeOf } = marked(compileFilter(rules));
  const attempts = ways[program].flatMap(({ architecture, asI386 = false }) =>
    numbersOf(architecture).flatMap((number) =>
      vectors(rules, architecture, number).map((args) => ({ architecture, number, args, asI386 })),
    ),
  );
  return {
    program,
    filter,
    calls: attempts,
    expected: attempts.map(({ architecture, number, args }) =>
      outcomeOf(decide(rules, auditArch[architecture], number, args).verdict),
    ),
  };
}

/** The architectures whose calls a program can make. */
const ways: Readonly<
  Record<ProgramArchitecture, readonly { architecture: SeccompArchitecture; asI386?: boolean }[]>
> = {
  x86_64: [
    { architecture: "x86_64" },
    { architecture: "x32" },
    { architecture: "x86", asI386: true },
  ],
  x86: [{ architecture: "x86" }],
  aarch64: [{ architecture: "aarch64" }],
  arm: [{ architecture: "arm" }],
};

/** The same decisions, with an errno for each verdict. */
function marked(program: readonly Instruction[]) {
  const isReturn = ({ code }: Instruction) => code === opcodes.return;
  const verdicts = [...new Set(program.filter(isReturn).map(({ k }) => k))];
  const mark = (verdict: number) => verdicts.indexOf(verdict) + 1;
  const filter = program.map((each) =>
    isReturn(each) ? { ...each, k: errno | mark(each.k) } : each,
  );
  return { filter, outcomeOf: (verdict: number) => `errno ${mark(verdict)}` };
}

/** Linux 6.18 asks no filter about these: its own code makes them. */
const unfiltered = ["uretprobe", "uprobe"].map((name) => numberOf("x86_64", name));

function numbersOf(architecture: SeccompArchitecture): number[] {
  const low = Array.from({ length: 600 }, (_, number) =>
    architecture === "x32" ? number + x32Bit : number,
  );
  const known = [...tableOf(architecture).values()].flatMap((number) => [number, number + 1]);
  const rest = [x32Bit - 1, x32Bit, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];
  const all = new Set([...low, ...known, ...rest]);
  if (architecture === "x86_64") for (const number of unfiltered) all.delete(number);
  return [...all];
}

/** None; what each rule asks for; and that with one argument beside it, or with another high word. */
function vectors(
  { rules }: RuleSet,
  architecture: SeccompArchitecture,
  number: number,
): bigint[][] {
  const names = [...tableOf(architecture)].flatMap(([name, value]) =>
    value === number ? [name] : [],
  );
  const fitting = rules.filter((rule) => rule.names.some((name) => names.includes(name)));
  const given = fitting.flatMap(({ conditions }) => {
    const asked = new Array<bigint>(6).fill(0n);
    for (const { index, op, value, valueTwo } of conditions) {
      asked[index] = op === "MASKED_EQ" ? valueTwo & value : value;
    }
    return conditions.flatMap(({ index, value }) =>
      [asked[index] ?? 0n, value - 1n, value, value + 1n, value ^ (1n << 32n)].map((arg) =>
        asked.with(index, arg),
      ),
    );
  });
  return [[], ...given.map((args) => args.map((arg) => asArgument(architecture, arg)))];
}

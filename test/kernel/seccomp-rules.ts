/** Each kind of rule in the kernel: for each program, trials by what they show. */
import { auditArch, x32Bit } from "../../seccomp/architecture.js";
import { multiplexed } from "../../seccomp/multiplex.js";
import { operators } from "../../seccomp/rules.js";
import * as verdicts from "../../seccomp/verdict.js";
import type { Outcome, ProgramArchitecture } from "../support/calls.js";
import {
  allowing,
  asArgument,
  condition,
  judged,
  numberOf,
  rule,
  type Trial,
  trial,
} from "./seccomp-trial.js";

export function ruleTrials(
  program: ProgramArchitecture,
): Readonly<Record<string, readonly Trial[]>> {
  return {
    "every action": everyAction(program),
    "every operator, at the constant and beside it": everyOperator(program),
    "every argument, and all at once": everyArgument(program),
    "which rule comes first": order(program),
    "numbers newer than the rules": newer(program),
    "architectures that are listed, and not": architectures[program](),
  };
}

const allowed = "returned";
const killed = "process killed 31";
const refused = verdicts.errno | 77;
const errno = (number: number) => `errno ${number}`;
const EFAULT = errno(14);
const ENOSYS = errno(38);

/** Calls that take no arguments, and cannot fail. */
const harmless = "getpid getppid getuid geteuid getgid getegid gettid".split(" ");

function everyAction(program: ProgramArchitecture): Trial[] {
  const where = `${numberOf(program, "getpid")} ${auditArch[program]}`;
  const outcomes: readonly (readonly [number, Outcome])[] = [
    [verdicts.allow, allowed],
    [verdicts.log, allowed],
    [verdicts.errno | 1, errno(1)],
    [verdicts.errno | 4095, errno(4095)],
    [verdicts.trap | 7, `trapped 7 ${where}`],
    [verdicts.killThread, "thread killed"],
    [verdicts.killProcess, killed],
    // Without a tracer, and without a listener.
    [verdicts.trace | 5, ENOSYS],
    [verdicts.userNotif, ENOSYS],
  ];
  return outcomes.flatMap(([verdict, outcome]) => {
    const byRule = allowing(program, rule("getpid", verdict));
    const byDefault = {
      ...allowing(program, rule("getppid", verdicts.allow)),
      defaultVerdict: verdict,
    };
    return [byRule, byDefault].map((rules) =>
      trial(program, rules, ["getppid", allowed], ["getpid", outcome], ["getppid", allowed]),
    );
  });
}

function everyOperator(program: ProgramArchitecture): Trial[] {
  const constants = [0n, 5n, 0xffffffffn, 1n << 32n, (1n << 63n) + 5n, (1n << 64n) - 1n];
  return constants.map((constant) => {
    const rules = operators.map((op, index) =>
      rule(harmless[index] ?? "", verdicts.errno | (index + 1), condition(2, op, constant, ~0n)),
    );
    const args = [-1n, 0n, 1n, 1n << 32n, -1n << 32n, 1n << 63n].map((beside) =>
      BigInt.asUintN(64, constant + beside),
    );
    return judged(
      program,
      allowing(program, ...rules),
      harmless.flatMap((name) => [0n, ...args].map((arg) => [name, 0n, 0n, arg] as const)),
    );
  });
}

function everyArgument(program: ProgramArchitecture): Trial[] {
  const args = [1n, 2n, 3n, 4n, 5n, 6n].map((low) => asArgument(program, (9n << 32n) | low));
  const each = args.map((arg, index) => condition(index, "EQ", arg));
  const rules = allowing(
    program,
    ...each.map((one, index) => rule(harmless[index] ?? "", verdicts.errno | (index + 1), one)),
    rule(harmless[6] ?? "", verdicts.errno | 7, ...each),
  );
  const vectors = [args, ...args.map((arg, index) => args.with(index, arg + 1n))];
  return [
    judged(
      program,
      rules,
      harmless.flatMap((name) => vectors.map((vector) => [name, ...vector] as const)),
    ),
  ];
}

function order(program: ProgramArchitecture): Trial[] {
  const isOne = condition(0, "EQ", 1n);
  const upToTwo = condition(0, "LE", 2n);
  const rules = allowing(
    program,
    rule("getpid", verdicts.killProcess, isOne),
    rule("getpid getppid", verdicts.errno | 2),
    rule("getppid", verdicts.errno | 3),
    rule("getuid", verdicts.errno | 4, isOne),
    rule("getuid getgid", verdicts.errno | 5, upToTwo),
  );
  const refusals = [rule("getuid getgid geteuid", verdicts.errno | 6, condition(1, "NE", 0n))];
  return [
    trial(
      program,
      { ...rules, refusals },
      // Without conditions before with, wherever it stands.
      ["getpid", errno(2), 1n],
      ["getppid", errno(2)],
      ["getuid", errno(4), 1n],
      ["getuid", errno(5), 2n],
      ["getuid", allowed, 3n],
      ["getgid", errno(5), 1n],
      // A refusal does not soften what is refused.
      ["getuid", errno(4), 1n, 1n],
      ["getuid", errno(6), 3n, 1n],
      ["geteuid", errno(6), 0n, 1n],
      ["geteuid", allowed],
    ),
  ];
}

function newer(program: ProgramArchitecture): Trial[] {
  const greatest = numberOf(program, "gettid");
  const rules = {
    ...allowing(program, rule("getpid gettid", verdicts.allow)),
    defaultVerdict: verdicts.errno | 1,
  };
  const steps = (outcome: Outcome) =>
    [
      [0, errno(1)],
      [greatest - 1, errno(1)],
      [greatest, allowed],
      [greatest + 1, outcome],
      [x32Bit - 1, outcome],
    ] as const;
  return [
    trial(program, { ...rules, newerIsEnosys: true }, ...steps(ENOSYS)),
    trial(program, rules, ...steps(errno(1))),
  ];
}

const architectures: Readonly<Record<ProgramArchitecture, () => Trial[]>> = {
  x86_64: () => {
    const asI386 = (name: string) => ({ number: numberOf("x86", name), asI386: true });
    const asX32 = (name: string) => numberOf("x32", name);
    const rules = allowing("x86_64", rule("getpid", refused), rule("getppid", refused + 1));
    return [
      trial(
        "x86_64",
        rules,
        ["getpid", errno(77)],
        [asI386("getpid"), killed],
        [asI386("getuid"), killed],
        [asX32("getpid"), killed],
        [x32Bit, killed],
        [0xfffffffe, killed],
        // No call of x32: a tracer sets this number to skip a call.
        [0xffffffff, ENOSYS],
      ),
      trial(
        "x86_64",
        { ...rules, architectures: ["x86_64", "x86", "x32"] },
        ["getpid", errno(77)],
        [asI386("getpid"), errno(77)],
        [asI386("getppid"), errno(78)],
        [asI386("getuid"), allowed],
        // Whether the kernel has x32 or not: the filter comes first.
        [asX32("getpid"), errno(77)],
        [asX32("getppid"), errno(78)],
        [0xffffffff, ENOSYS],
      ),
      trial(
        "x86_64",
        { ...rules, architectures: ["x86"] },
        ["getpid", killed],
        [asI386("getpid"), errno(77)],
      ),
    ];
  },
  x86: () => {
    const refusal = rule("socket semop", refused);
    const rules = allowing("x86", refusal, ...multiplexed(refusal));
    return [
      trial(
        "x86",
        rules,
        ["socket", errno(77)],
        ["socketcall", errno(77), 1n],
        ["socketcall", EFAULT, 2n],
        ["ipc", errno(77), 1n],
        ["ipc", ENOSYS, 20n],
      ),
      trial("x86", { ...rules, architectures: ["x86_64"] }, ["getpid", killed]),
      trial("x86", { ...rules, architectures: ["x86_64", "x86"] }, ["getpid", allowed]),
    ];
  },
  aarch64: () => {
    const rules = allowing("aarch64", rule("getpid", refused));
    return [
      trial("aarch64", { ...rules, architectures: ["arm"] }, ["getpid", killed]),
      trial("aarch64", { ...rules, architectures: ["aarch64", "arm"] }, ["getpid", errno(77)]),
    ];
  },
  arm: () => {
    const rules = allowing("arm", rule("getpid cacheflush", refused));
    return [
      trial("arm", rules, ["getpid", errno(77)], ["cacheflush", errno(77)], ["set_tls", allowed]),
      trial("arm", { ...rules, architectures: ["aarch64"] }, ["getpid", killed]),
      trial("arm", { ...rules, architectures: ["aarch64", "arm"] }, ["getpid", errno(77)]),
    ];
  },
};

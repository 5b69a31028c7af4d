/** Filters in real kernels: of each call must come what the rules say. */
import * as assert from "uvu/assert";
import { make, makeInGuest, type Outcome, type ProgramArchitecture } from "../support/calls.js";
import type { Requirement } from "../support/skip.js";
import { suite } from "../support/suite.js";
import { profileTrials } from "./seccomp-profiles.js";
import { ruleTrials } from "./seccomp-rules.js";
import type { Trial } from "./seccomp-trial.js";

const test = suite("seccomp calls");

function trialsOf(program: ProgramArchitecture): [string, readonly Trial[]][] {
  return Object.entries({ ...ruleTrials(program), ...profileTrials(program) });
}

/** The calls of which something else came, in words. */
function wrong({ calls, expected }: Trial, outcomes: readonly Outcome[]): string[] {
  return calls.flatMap(({ number, args = [], asI386 = false }, index) => {
    const call = `${asI386 ? "i386 " : ""}${number}(${args.join(", ")})`;
    return outcomes[index] === expected[index]
      ? []
      : [`${call}: ${outcomes[index]}, must be ${expected[index]}`];
  });
}

const native = { x86_64: ["x86-64 calls", "i386 calls"], x86: ["i386 calls"] } as const;
for (const program of ["x86_64", "x86"] as const) {
  for (const [what, trials] of trialsOf(program)) {
    test.needs(native[program], `${program}: ${what}`, async () => {
      for (const trial of trials) assert.equal(wrong(trial, await make(trial)), []);
    });
  }
}

const needs: readonly Requirement[] = ["arm64 guest", "arm64 compiler", "arm compiler"];
const forGuest = (["aarch64", "arm"] as const).flatMap((program) =>
  trialsOf(program).map(([what, trials]) => ({ name: `${program}: ${what}`, trials })),
);
const all = forGuest.flatMap(({ trials }) => trials);
let guest: ReturnType<typeof makeInGuest> | undefined;
/** One guest for all tests. */
const boot = () => {
  guest ??= makeInGuest(all);
  return guest;
};
for (const { name, trials } of forGuest) {
  test.needs(needs, name, async () => {
    const { outcomes } = await boot();
    for (const trial of trials) {
      assert.equal(wrong(trial, outcomes[all.indexOf(trial)] ?? []), []);
    }
  });
}

test.needs(needs, "LOG is in the kernel's log", async () => {
  const { log } = await boot();
  for (const call of ["arch=c00000b7 syscall=172", "arch=40000028 syscall=20"]) {
    assert.match(log, new RegExp(`audit: type=1326 .* ${call} .* code=0x7ffc0000`));
  }
});

test.run();

/** libseccomp's own filters. Needs "libseccomp" of `skip.ts`. */
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import type { Instruction } from "../../seccomp/instruction.js";
import { operators, type RuleSet } from "../../seccomp/rules.js";
import { temporaryDirectory } from "./inside.js";

export interface LibseccompFilter {
  readonly program: readonly Instruction[];
  /** Names that libseccomp does not know: their rules are left out. */
  readonly unknown: readonly string[];
  /** Rules that it does not take: the name, and the errno. */
  readonly refused: readonly string[];
}

export type Form = "linear" | "tree";

/** Values of SCMP_FLTATR_CTL_OPTIMIZE. */
const optimize: Record<Form, string> = { linear: "1", tree: "2" };
let built: string | undefined;

/**
 * What libseccomp makes of the rules, as runc would have it do, but that other architectures get
 * KILL_PROCESS, not KILL_THREAD. It has no words for refusals and for `newerIsEnosys`.
 */
export function libseccompFilter(ruleSet: RuleSet, form: Form): LibseccompFilter {
  built ??= build();
  const { status, signal, stdout, stderr } = spawnSync(
    built,
    [`${ruleSet.defaultVerdict}`, optimize[form], ...ruleSet.architectures],
    { input: linesOf(ruleSet), timeout: 10_000 },
  );
  if (status !== 0) throw new Error(`libseccomp ended with ${signal ?? status}: ${stderr}`);
  const said = (what: string) =>
    [...`${stderr}`.matchAll(new RegExp(`^${what} (.*)$`, "gm"))].map(([, rest = ""]) => rest);
  return {
    program: decode(stdout),
    unknown: [...new Set(said("unknown"))],
    refused: said("refused"),
  };
}

function build(): string {
  const path = join(temporaryDirectory("libseccomp"), "libseccomp");
  const source = join(import.meta.dirname, "libseccomp.c");
  execFileSync("gcc", ["-O2", "-Wall", "-Wextra", "-Werror", "-o", path, source, "-lseccomp"]);
  return path;
}

/** As libseccomp.c reads them. */
function linesOf({ rules }: RuleSet): string {
  const lines = rules.flatMap(({ names, verdict, conditions }) => {
    const words = conditions.flatMap(({ index, op, value, valueTwo }) => [
      index,
      // SCMP_CMP_NE is 1, and the others follow in this order.
      operators.indexOf(op) + 1,
      value,
      valueTwo,
    ]);
    return names.map((name) => `${[verdict, name, conditions.length, ...words].join(" ")}\n`);
  });
  return lines.join("");
}

/** An array of `struct sock_filter`, as `encodeFilter` writes it. */
function decode(bytes: Buffer): Instruction[] {
  return Array.from({ length: bytes.length / 8 }, (_, index) => ({
    code: bytes.readUInt16LE(8 * index),
    jt: bytes.readUInt8(8 * index + 2),
    jf: bytes.readUInt8(8 * index + 3),
    k: bytes.readUInt32LE(8 * index + 4),
  }));
}

/** libseccomp as an oracle: the filter that it makes of a rule set. Needs "libseccomp" of `skip.ts`. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Instruction } from "../../seccomp/instruction.js";
import { operators, type RuleSet } from "../../seccomp/rules.js";

export interface LibseccompFilter {
  readonly program: readonly Instruction[];
  /** Names that libseccomp does not know: their rules are left out. */
  readonly unknown: readonly string[];
  /** Rules that it does not take: the name and the errno. */
  readonly refused: readonly { readonly name: string; readonly errno: number }[];
}

export interface Libseccomp {
  /** Without refusals and `newerIsEnosys`, for which it has no word. */
  filter(ruleSet: RuleSet, form: "linear" | "tree"): LibseccompFilter;
  remove(): void;
}

/** Builds the program that asks the library. */
export function libseccomp(): Libseccomp {
  const directory = mkdtempSync(join(tmpdir(), "sbx-libseccomp-"));
  const program = join(directory, "libseccomp");
  const source = join(import.meta.dirname, "libseccomp.c");
  execFileSync("gcc", ["-O1", "-Wall", "-Werror", "-o", program, source, "-lseccomp"]);
  return {
    filter({ architectures, defaultVerdict, rules }, form) {
      const lines = rules.flatMap(({ names, verdict, conditions }) => {
        const words = conditions.map(
          ({ index, op, value, valueTwo }) =>
            ` ${index} ${operators.indexOf(op) + 1} ${value} ${valueTwo}`,
        );
        return names.map((name) => `${verdict} ${name} ${conditions.length}${words.join("")}\n`);
      });
      const { status, signal, stdout, stderr } = spawnSync(
        program,
        [`${defaultVerdict}`, form === "linear" ? "1" : "2", ...architectures],
        { input: lines.join(""), timeout: 5000 },
      );
      if (status !== 0) throw new Error(`libseccomp ended with ${signal ?? status}: ${stderr}`);
      const said = (word: string) =>
        [...`${stderr}`.matchAll(new RegExp(`^${word} (.*)$`, "gm"))].map(([, rest = ""]) => rest);
      return {
        program: decodeFilter(stdout),
        unknown: [...new Set(said("unknown"))],
        refused: said("refused").map((line) => {
          const [name = "", errno] = line.split(" ");
          return { name, errno: Number(errno) };
        }),
      };
    },
    remove: () => rmSync(directory, { recursive: true }),
  };
}

/** The counterpart of `encodeFilter`. */
export function decodeFilter(bytes: Buffer): Instruction[] {
  return Array.from({ length: bytes.length / 8 }, (_, index) => ({
    code: bytes.readUInt16LE(8 * index),
    jt: bytes.readUInt8(8 * index + 2),
    jf: bytes.readUInt8(8 * index + 3),
    k: bytes.readUInt32LE(8 * index + 4),
  }));
}

/**
 * A filter as text, an instruction a line, in the notation of the kernel's tools/bpf/bpf_asm. Comments
 * say what is loaded, which calls a number means, and what is returned.
 */
import { auditArch, type SeccompArchitecture, x32Bit } from "./architecture.js";
import { type Instruction, opcodes } from "./instruction.js";
import { syscallName } from "./syscalls.js";
import { describeVerdict } from "./verdict.js";

/** A call that may come to an instruction: one of this architecture, its number less `base`. */
interface Caller {
  readonly architecture: SeccompArchitecture;
  readonly base: number;
}

/** What is known before an instruction is executed: the word that is loaded, and whose call it is. */
interface State {
  readonly loaded: string | null;
  readonly callers: readonly Caller[];
}

/** `architectures` as in the rule set that the filter was made from. */
export function listFilter(
  instructions: readonly Instruction[],
  architectures: readonly SeccompArchitecture[],
): string {
  const states = new Map<number, State>();
  const arrive = (index: number, state: State) => {
    const other = states.get(index);
    states.set(index, other === undefined ? state : joined(other, state));
  };
  arrive(0, {
    loaded: null,
    callers: architectures.map((one) => ({ architecture: one, base: 0 })),
  });
  const targets = new Set<number>();
  const lines = instructions.map((instruction, index): [string, string] => {
    const state = states.get(index) ?? { loaded: null, callers: [] };
    const next = index + 1;
    const { code, jt, jf, k } = instruction;
    const hex = `#0x${k.toString(16)}`;
    switch (code) {
      case opcodes.load:
        arrive(next, { ...state, loaded: wordAt(k) });
        return [`ld [${k}]`, wordAt(k)];
      case opcodes.and:
        arrive(next, state);
        return [`and ${hex}`, ""];
      case opcodes.subtract: {
        const callers = state.callers.map((one) => ({ ...one, base: one.base + k }));
        arrive(next, { ...state, callers });
        return [`sub ${hex}`, ""];
      }
      case opcodes.return:
        return [`ret ${hex}`, describeVerdict(k)];
      case opcodes.jump:
        targets.add(next + k);
        arrive(next + k, state);
        return [`ja L${next + k}`, ""];
      default: {
        const [held, failed] = split(state, code, k);
        for (const [to, after] of [
          [next + jt, held],
          [next + jf, failed],
        ] as const) {
          targets.add(to);
          arrive(to, after);
        }
        return [`${jumps[code]} ${hex}, L${next + jt}, L${next + jf}`, meaning(state, k)];
      }
    }
  });
  const labels = lines.map((_, index) => (targets.has(index) ? `L${index}:` : ""));
  return lines
    .map(([text, comment], index) => {
      const line = `${(labels[index] ?? "").padEnd(6)} ${text}`;
      return comment === "" ? `${line}\n` : `${line.padEnd(40)} ; ${comment}\n`;
    })
    .join("");
}

const jumps: Readonly<Record<number, string>> = {
  [opcodes.equal]: "jeq",
  [opcodes.greater]: "jgt",
  [opcodes.greaterEqual]: "jge",
  [opcodes.anyBit]: "jset",
};

/** The word of `struct seccomp_data` at an offset. */
function wordAt(offset: number): string {
  if (offset === 0) return "number";
  if (offset === 4) return "arch";
  return `arg${(offset - 16) >> 3}, ${offset % 8 === 0 ? "low" : "high"} word`;
}

function joined(a: State, b: State): State {
  const isKnown = ({ architecture, base }: Caller) =>
    a.callers.some((one) => one.architecture === architecture && one.base === base);
  return {
    loaded: a.loaded === b.loaded ? a.loaded : null,
    callers: [...a.callers, ...b.callers.filter((one) => !isKnown(one))],
  };
}

/** What is known where a test holds, and where it does not. */
function split(state: State, code: number, k: number): [State, State] {
  const isFor = ({ architecture }: Caller): boolean | null => {
    if (state.loaded === "arch" && code === opcodes.equal) return auditArch[architecture] === k;
    const isX32 = state.loaded === "number" && code === opcodes.greaterEqual && k === x32Bit;
    return isX32 ? architecture === "x32" : null;
  };
  const where = (wanted: boolean) => ({
    ...state,
    callers: state.callers.filter((caller) => isFor(caller) !== !wanted),
  });
  return [where(true), where(false)];
}

/** What the constant of a test stands for. */
function meaning({ loaded, callers }: State, k: number): string {
  if (loaded === "arch") {
    const names = callers.filter(({ architecture }) => auditArch[architecture] === k);
    return names.map(({ architecture }) => architecture).join(", ");
  }
  if (loaded !== "number") return "";
  const byName = new Map<string, string[]>();
  const sorted = callers.toSorted((a, b) => (a.architecture < b.architecture ? -1 : 1));
  for (const { architecture, base } of sorted) {
    const name = syscallName(architecture, k + base);
    if (name !== null) byName.set(name, [...(byName.get(name) ?? []), architecture]);
  }
  const all = [...byName].map(([name, of]) =>
    callers.length === 1 ? name : `${name} (${of.join(", ")})`,
  );
  return all.join(", ");
}

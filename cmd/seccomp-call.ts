/** The system call that `sbx seccomp explain` is asked about: `openat -100 0x7f00`. */
import { type SeccompArchitecture, x32Bit } from "../seccomp/architecture.js";
import type { Call } from "../seccomp/explain.js";
import { syscallNumber, tableOf } from "../seccomp/syscalls.js";
import { fail } from "../spec/error.js";
import { didYouMean } from "../spec/nearest.js";
import { type Machine, ownMachine } from "./seccomp-input.js";

/** The architectures as `--arch` names them, and the machines that they run on. */
const architectures = {
  amd64: { architecture: "x86_64", machine: "amd64" },
  x86: { architecture: "x86", machine: "amd64" },
  x32: { architecture: "x32", machine: "amd64" },
  arm64: { architecture: "aarch64", machine: "arm64" },
  arm: { architecture: "arm", machine: "arm64" },
} as const satisfies Record<string, { architecture: SeccompArchitecture; machine: Machine }>;

/** `words` are the call, by name or number, and its first arguments. Fails on what is none of that. */
export function readCall(
  [word = "", ...args]: readonly string[],
  arch: string = ownMachine(),
): Call & { readonly machine: Machine } {
  const { architecture, machine } = architectures[arch as keyof typeof architectures];
  if (args.length > 6) fail(`seccomp explain ${word}`, "a system call has at most 6 arguments");
  const number = /^-?\d/.test(word)
    ? Number(readInteger(word, 32))
    : (syscallNumber(architecture, word) ?? refuseName(word, architecture));
  const isX32 = number >= x32Bit && number !== 0xffffffff;
  return {
    machine,
    architecture: architecture === "x86_64" && isX32 ? "x32" : architecture,
    number: architecture === "x32" && !isX32 ? number + x32Bit : number,
    args: args.map((argument) => readInteger(argument, 64)),
  };
}

/** A number as C writes it, decimal, hexadecimal or octal; what is negative as the kernel sees it. */
function readInteger(text: string, bits: number): bigint {
  const [, sign, digits = ""] = /^(-?)(0x[0-9a-f]+|0[0-7]*|[1-9]\d*)$/i.exec(text) ?? [];
  const octal = /^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits;
  const value = sign === "-" ? -BigInt(octal) : BigInt(octal);
  if (sign === undefined || value >= 2n ** BigInt(bits) || value < -(2n ** BigInt(bits - 1))) {
    fail(text, `is no number of ${bits} bits`, "Numbers are decimal, 0x… or, after a 0, octal");
  }
  return BigInt.asUintN(bits, value);
}

function refuseName(name: string, architecture: SeccompArchitecture): never {
  const others = Object.entries(architectures).filter(
    ([, other]) => syscallNumber(other.architecture, name) !== null,
  );
  const elsewhere = others.map(([word]) => `--arch=${word}`).join(", ");
  return fail(
    name,
    `no system call of ${architecture}`,
    elsewhere === "" ? didYouMean(name, tableOf(architecture).keys()) : `See ${elsewhere}`,
  );
}

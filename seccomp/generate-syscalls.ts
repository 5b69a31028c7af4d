/**
 * Writes seccomp/syscall-lists.ts from the kernel's user-space headers.
 *
 *     node --import tsx seccomp/generate-syscalls.ts [--check] [--headers DIR]
 *
 * DIR is where a linux-libc-dev of Debian 13 or later was unpacked, its `usr`, which has every
 * architecture; /usr if not given. With `--check` nothing is written, and older headers and
 * Debian 12's cross packages do as well: exits 1 where list and headers contradict each other on a
 * name or number. What only one of them has is no contradiction, since numbers below the greatest
 * are given out as well (335 in Linux 6.11); what the list lacks is noted on standard output.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fail, SbxError } from "../spec/error.js";
import { architectures, type SeccompArchitecture, x32Bit } from "./architecture.js";

/** Below DIR: where Debian 13's linux-libc-dev has the headers of all architectures. */
const everyArchitecture = "lib/linux/uapi";

/** Directories below DIR, as Debian 13, Debian 12, its cross packages and Fedora have them. */
const x86Directories = [
  `${everyArchitecture}/x86/asm`,
  "include/x86_64-linux-gnu/asm",
  "x86_64-linux-gnu/include/asm",
  "include/asm",
];
const armDirectories = [`${everyArchitecture}/arm/asm`, "arm-linux-gnueabihf/include/asm"];

/** The headers of each architecture: one of the lists of files, the first that is there. */
const sources: Readonly<Record<SeccompArchitecture, readonly (readonly string[])[]>> = {
  x86_64: x86Directories.map((path) => [`${path}/unistd_64.h`]),
  x86: x86Directories.map((path) => [`${path}/unistd_32.h`]),
  x32: x86Directories.map((path) => [`${path}/unistd_x32.h`, `${path}/unistd.h`]),
  // Before Linux 6.11 aarch64 had no list of its own.
  aarch64: [[`${everyArchitecture}/arm64/asm/unistd_64.h`], ["include/asm-generic/unistd.h"]],
  arm: armDirectories.map((path) => [`${path}/unistd-eabi.h`, `${path}/unistd.h`]),
};

type Numbers = Map<string, number>;

/** Conditions of asm-generic/unistd.h that hold for 32 bits alone, or for no architecture here. */
const neverHolds = /== 32|__SYSCALL_COMPAT$|__ARCH_WANT_SYNC_FILE_RANGE2|ifdef __NR/;

/** The lines that a preprocessor would leave on 64 bits, or for arm's EABI. */
function remainingLines(text: string): string[] {
  const holds: boolean[] = [];
  return text.split("\n").filter((line) => {
    const directive = /^#\s*(if|else|endif)/.exec(line)?.[1];
    if (directive === "if") holds.push(!neverHolds.test(line));
    else if (directive === "else") holds.push(!holds.pop());
    else if (directive === "endif") holds.pop();
    return !holds.includes(false);
  });
}

/** The system calls that headers define: sums of numbers and of other definitions. */
function readDefinitions(text: string): Numbers {
  const values = new Map<string, string>();
  for (const line of remainingLines(text)) {
    const [, name, value = ""] = /^#define\s+(__\w+)\s+([^/]+)/.exec(line) ?? [];
    if (name !== undefined) values.set(name, value.replace(/[()\s]/g, ""));
  }
  const evaluate = (value: string): number =>
    value
      .split("+")
      .map((term) => (values.has(term) ? evaluate(values.get(term) ?? "") : Number(term)))
      .reduce((sum, term) => sum + term, 0);
  return new Map(
    [...values].flatMap(([macro, value]) => {
      const name = /^__(?:ARM_)?NR_([a-z_][a-z\d_]*)$/.exec(macro)?.[1];
      // asm-generic/unistd.h counts, and marks what architectures may use.
      if (name === undefined || name === "syscalls" || name === "arch_specific_syscall") return [];
      return [[name, evaluate(value)] as const];
    }),
  );
}

function readHeaders(directory: string, arch: SeccompArchitecture): Numbers {
  const found = sources[arch]
    .map((paths) => paths.map((path) => join(directory, path)))
    .find((paths) => paths.every((path) => existsSync(path)));
  if (found === undefined) {
    return fail(
      `read the kernel's headers for ${arch} below ${directory}`,
      "there are none",
      "Install linux-libc-dev and, before Debian 13, linux-libc-dev-armhf-cross",
    );
  }
  const text = found.map((path) => readFileSync(path, "utf8")).join("");
  return readDefinitions(text);
}

/** The names that only architectures have which filters are not compiled for. */
function readOtherNames(directory: string, known: ReadonlySet<string>): string[] {
  const root = join(directory, everyArchitecture);
  const headers = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) =>
    /\/asm\/unistd[^/]*\.h$/.test(path),
  );
  // Of each file by itself: their definitions have the same names.
  const names = headers.flatMap((path) => [
    ...readDefinitions(readFileSync(join(root, path), "utf8")).keys(),
  ]);
  return [...new Set(names)]
    .filter((name) => !known.has(name) && !/^(reserved|unused)\d+$/.test(name))
    .sort();
}

/** Lines of words, 100 characters at most. */
function wrapped(words: readonly string[]): string {
  const lines = [""];
  for (const word of words) {
    const line = lines.at(-1) ?? "";
    if (line.length + word.length < 100)
      lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}

/** The numbers, without x32's bit, as seccomp/syscall-lists.ts describes its lists. */
function listOf(numbers: Numbers, bit: number): string {
  let next = Number.NaN;
  const words = [...numbers]
    .sort(([, a], [, b]) => a - b)
    .flatMap(([name, number]) => {
      const known = number === next;
      next = number + 1;
      return known ? [name] : [`${number - bit}`, name];
    });
  return wrapped(words);
}

function linuxVersion(directory: string): string {
  const text = readFileSync(join(directory, "include/linux/version.h"), "utf8");
  const parts = text.matchAll(/LINUX_VERSION_(?:MAJOR|PATCHLEVEL|SUBLEVEL) (\d+)/g);
  return [...parts].map(([, part]) => part).join(".");
}

/** The whole text of seccomp/syscall-lists.ts. */
function generate(directory: string): string {
  const tables = architectures.map((arch) => [arch, readHeaders(directory, arch)] as const);
  const known = new Set(tables.flatMap(([, numbers]) => [...numbers.keys()]));
  const lists = tables.map(
    ([arch, numbers]) => `  ${arch}: \`\n${listOf(numbers, arch === "x32" ? x32Bit : 0)}\`,\n`,
  );
  return `/**
 * The system calls of Linux ${linuxVersion(directory)}. Written by seccomp/generate-syscalls.ts from the kernel's headers
 * asm/unistd*.h: not to be edited. seccomp/syscalls.ts reads it; text loads faster than objects.
 */
import type { SeccompArchitecture } from "./architecture.js";

/**
 * Names in the order of their numbers, each one more than the last one's, or the number that stands
 * before it. x32's are without its bit.
 */
export const syscallLists: Readonly<Record<SeccompArchitecture, string>> = {
${lists.join("")}};

/** Names that only other architectures have. */
export const otherNames = \`
${wrapped(readOtherNames(directory, known))}\`;
`;
}

/** Throws where the list and the headers contradict each other; gives what the list lacks. */
async function check(directory: string): Promise<string[]> {
  const { syscallName, syscallNumber } = await import("./syscalls.js");
  const wrong: string[] = [];
  const lacking: string[] = [];
  for (const arch of architectures) {
    const numbers = readHeaders(directory, arch);
    for (const [name, number] of numbers) {
      const listed = syscallName(arch, number);
      const listedNumber = syscallNumber(arch, name);
      if (listedNumber === number) continue;
      const found = `${arch} ${name} ${number}`;
      if (listed === null && listedNumber === null) lacking.push(found);
      else wrong.push(`${found}, listed as ${listed ?? name} ${listedNumber ?? number}`);
    }
  }
  if (wrong.length > 0) {
    fail("check seccomp/syscall-lists.ts", `the headers have ${wrong.join("; ")}`, "Write it anew");
  }
  return lacking;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { check: { type: "boolean" }, headers: { type: "string", default: "/usr" } },
  });
  if (values.check) {
    for (const call of await check(values.headers)) console.log(`not listed: ${call}`);
  } else {
    const path = fileURLToPath(new URL("syscall-lists.ts", import.meta.url));
    writeFileSync(path, generate(values.headers));
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof SbxError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

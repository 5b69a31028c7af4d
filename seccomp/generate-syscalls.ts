/**
 * Writes seccomp/syscall-lists.ts from the kernel's user-space headers, of which renew.sh has the newest.
 *
 *     node --import tsx seccomp/generate-syscalls.ts [--check] [--headers DIR]
 *
 * DIR is /usr if not given. With `--check` nothing is written: exits 1 where list and headers contradict
 * each other on a name or number, so that older and newer headers can check what they know. What the
 * list lacks is noted on standard output, whatever its number: 335 was unused in Linux 6.1, and is
 * uretprobe in 6.12.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fail, SbxError } from "../spec/error.js";
import { architectures, type SeccompArchitecture, x32Bit } from "./architecture.js";
import { readAllNames, readSyscalls } from "./syscall-headers.js";

/** Lines of 100 characters at most. */
function wrapped(words: readonly string[]): string {
  const text = words.join(" ");
  return text.replace(/(.{1,100})(?: |$)/g, "$1\n").trimEnd();
}

/** As seccomp/syscall-lists.ts describes its lists. */
function listOf(arch: SeccompArchitecture, numbers: ReadonlyMap<string, number>): string {
  const bit = arch === "x32" ? x32Bit : 0;
  let next = Number.NaN;
  const ascending = [...numbers].sort(([, a], [, b]) => a - b);
  const words = ascending.flatMap(([name, number]) => {
    const follows = number === next;
    next = number + 1;
    return follows ? [name] : [`${number - bit}`, name];
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
  const tables = architectures.map((arch) => [arch, readSyscalls(directory, arch)] as const);
  const lists = tables.map(([arch, numbers]) => `  ${arch}: \`\n${listOf(arch, numbers)}\`,\n`);
  const isOther = (name: string) => tables.every(([, numbers]) => !numbers.has(name));
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
${wrapped(readAllNames(directory).filter(isOther))}\`;
`;
}

/** Fails where the list and the headers contradict each other; gives what the list lacks. */
async function check(directory: string): Promise<string[]> {
  const { syscallName, syscallNumber } = await import("./syscalls.js");
  const wrong: string[] = [];
  const lacking: string[] = [];
  for (const arch of architectures) {
    for (const [name, number] of readSyscalls(directory, arch)) {
      const listed = syscallNumber(arch, name);
      if (listed === number) continue;
      const found = `${arch} ${name} ${number}`;
      const instead = listed ?? syscallName(arch, number);
      if (instead === null) lacking.push(found);
      else wrong.push(`${found}, listed as ${instead}`);
    }
  }
  if (wrong.length === 0) return lacking;
  const why = `the headers have ${wrong.join("; ")}`;
  return fail("check seccomp/syscall-lists.ts", why, "Run seccomp/renew.sh");
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

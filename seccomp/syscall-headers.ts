/**
 * Reads system calls from the kernel's user-space headers, below a directory such as /usr: those of
 * Debian 13's linux-libc-dev or later, which has every architecture, or of Debian 12's on x86-64 with
 * linux-libc-dev-armhf-cross. For generate-syscalls.ts.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../spec/error.js";
import type { SeccompArchitecture } from "./architecture.js";

/** Where Debian 13 has the headers of all architectures. */
const everyArchitecture = "lib/linux/uapi";
const x86Directories = [`${everyArchitecture}/x86/asm`, "include/x86_64-linux-gnu/asm"];
const armDirectories = [`${everyArchitecture}/arm/asm`, "arm-linux-gnueabihf/include/asm"];

/** The headers of each architecture: the first list of files that are there. */
const sources: Readonly<Record<SeccompArchitecture, readonly (readonly string[])[]>> = {
  x86_64: x86Directories.map((path) => [`${path}/unistd_64.h`]),
  x86: x86Directories.map((path) => [`${path}/unistd_32.h`]),
  x32: x86Directories.map((path) => [`${path}/unistd_x32.h`, `${path}/unistd.h`]),
  // Linux 6.12 has a file of its own for aarch64, 6.1 has not.
  aarch64: [[`${everyArchitecture}/arm64/asm/unistd_64.h`], ["include/asm-generic/unistd.h"]],
  arm: armDirectories.map((path) => [`${path}/unistd-eabi.h`, `${path}/unistd.h`]),
};

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

/** Numbers by name. They are sums of numbers and of other definitions; NaN where one is elsewhere. */
function readDefinitions(text: string): Map<string, number> {
  const values = new Map<string, string>();
  for (const line of remainingLines(text)) {
    const [, name, value = ""] = /^#define\s+(__\w+)\s+([^/]+)/.exec(line) ?? [];
    if (name !== undefined) values.set(name, value.replace(/[()\s]/g, ""));
  }
  const evaluate = (sum: string): number =>
    sum.split("+").reduce((total, term) => {
      const value = values.get(term);
      return total + (value === undefined ? Number(term) : evaluate(value));
    }, 0);
  return new Map(
    [...values].flatMap(([macro, value]) => {
      const name = /^__(?:ARM_)?NR_([a-z_][a-z\d_]*)$/.exec(macro)?.[1];
      // asm-generic/unistd.h counts, and marks what architectures may use.
      if (name === undefined || name === "syscalls" || name === "arch_specific_syscall") return [];
      return [[name, evaluate(value)] as const];
    }),
  );
}

/** The architecture's system calls, x32's with its bit. Fails where its headers are not there. */
export function readSyscalls(directory: string, arch: SeccompArchitecture): Map<string, number> {
  const paths = sources[arch]
    .map((list) => list.map((path) => join(directory, path)))
    .find((list) => list.every((path) => existsSync(path)));
  if (paths === undefined) {
    return fail(
      `read the kernel's headers for ${arch} below ${directory}`,
      "there are none",
      "Install linux-libc-dev and, before Debian 13, linux-libc-dev-armhf-cross",
    );
  }
  const numbers = readDefinitions(paths.map((path) => readFileSync(path, "utf8")).join(""));
  for (const [name, number] of numbers) {
    if (!Number.isInteger(number)) fail(`read ${paths.join(" and ")}`, `${name} has no number`);
  }
  return numbers;
}

/** The names of all architectures, sorted, without those of unused numbers. */
export function readAllNames(directory: string): string[] {
  const root = join(directory, everyArchitecture);
  if (!existsSync(root)) {
    return fail(
      "read the kernel's headers for all architectures",
      `${root} is not there`,
      "Unpack linux-libc-dev of Debian 13 or later",
    );
  }
  const paths = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) =>
    /\/asm\/unistd[^/]*\.h$/.test(path),
  );
  const names = paths.flatMap((path) => [
    ...readDefinitions(readFileSync(join(root, path), "utf8")).keys(),
  ]);
  return [...new Set(names)].filter((name) => !/^(reserved|unused)\d+$/.test(name)).sort();
}

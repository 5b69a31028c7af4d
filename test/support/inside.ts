/** Sandboxes for tests that look at them from inside: `sbx run` around a shell of the busybox rootfs. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRun } from "../../cmd/parse.js";
import { readRequest } from "../../cmd/request.js";
import { compileSandbox } from "../../launch/compile.js";
import type { Host } from "../../spec/host.js";
import { busyboxRootfs } from "./rootfs.js";
import { type SbxOptions, type SbxResult, sbx } from "./sandbox.js";

export interface InsideOptions extends SbxOptions {
  /** The busybox rootfs where absent. */
  readonly rootfs?: string;
}

/** What the shell script prints in a sandbox with these options of `sbx run`; fails where it fails. */
export async function inside(
  options: readonly string[],
  script: string,
  more: InsideOptions = {},
): Promise<string> {
  const result = await attempt(options, script, more);
  if (result.code !== 0 || result.stderr !== "") {
    const end = result.signal ?? result.code;
    throw new Error(
      `sbx run ${options.join(" ")}: ended with ${end}\n${result.stdout}${result.stderr}`,
    );
  }
  return result.stdout;
}

/** The same, however it ends. */
export function attempt(
  options: readonly string[],
  script: string,
  { rootfs = busyboxRootfs(), ...more }: InsideOptions = {},
): Promise<SbxResult> {
  return sbx(["run", ...options, rootfs, "sh", "-c", script], more);
}

/** The one line of stderr with which `sbx run` gives up, and the exit code. */
export async function refusal(
  options: readonly string[],
  words: readonly string[],
  more: SbxOptions = {},
): Promise<{ code: number | null; line: string }> {
  const { code, stderr, stdout } = await sbx(["run", ...options, ...words], more);
  if (stdout !== "" || !/^sbx: [^\n]+\n$/.test(stderr)) {
    throw new Error(`not one line of an error, code ${code}:\n${stdout}${stderr}`);
  }
  return { code, line: stderr.trimEnd() };
}

/** Pairs of key and value of lines like `CapEff:\t0000`, as /proc/PID/status has them. */
export function fields(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/^([\w-]+):[ \t]*(.*)$/gm)];
  return Object.fromEntries(pairs.map(([, key = "", value = ""]) => [key, value.trim()]));
}

/** A directory of the test's own for files, removed as the test process exits. */
export function temporaryDirectory(name: string): string {
  const path = mkdtempSync(join(tmpdir(), `sbx-${name}-`));
  process.on("exit", () => rmSync(path, { recursive: true, force: true }));
  return path;
}

/**
 * Compiles what `sbx run` with these words (options, then the rootfs) would, for this machine or for
 * one that differs from it by `host`, and puts the program at `path`. Its arguments are the command's.
 */
export async function compileTo(
  path: string,
  words: readonly string[],
  host: Partial<Host> = {},
): Promise<string> {
  const request = await readRequest(parseRun(words));
  const { bytes } = compileSandbox(request.spec, { ...request.host, ...host });
  writeFileSync(path, bytes, { mode: 0o700 });
  return path;
}

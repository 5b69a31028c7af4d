/**
 * `sbx run`: compiles the sandbox, and leaves it to the launcher to become it. Loads nothing that
 * a plain run does not need.
 */
import { writeSync } from "node:fs";
import { basename, dirname } from "node:path";
import { entriesFor } from "../launch/cache/entry.js";
import { keep, keepEntries } from "../launch/cache/store.js";
import { type Compiled, compileSandbox } from "../launch/compile.js";
import { whileRecording } from "../launch/facts/readings.js";
import { makeAboveRunDirectory } from "../launch/facts/run-directory.js";
import { launcher } from "../launch/launcher.js";
import { createVolume } from "../launch/store/volumes.js";
import { fail, SbxError, visible } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import type { Spec } from "../spec/spec.js";
import type { Made } from "./create.js";
import type { Reading } from "./files.js";
import type { OptionTable } from "./options/option.js";
import { createOptions, unshareOptions } from "./options/run.js";
import { parseCommand, parseRun } from "./parse.js";
import { readRequest } from "./request.js";
import { statusFdOf } from "./status.js";

/**
 * `argv` with `run`, `unshare` or `create` in front. Prints for the launcher how to start the program:
 * cmd/sbx says how it understands it.
 */
export async function run(
  argv: readonly string[],
  reading: Reading = { pipes: true },
): Promise<void> {
  const [name, ...words] = argv;
  if (name === "start" || name === "restart") {
    const { answerForStart } = await import("./start.js");
    const answer = await answerForStart(name, words);
    if (answer !== null) {
      writeSync(1, `${answer}\n`);
      return;
    }
  }
  makeAboveRunDirectory(process.env);
  const { value, recording } = await whileRecording(Date.now(), () =>
    compileArguments(argv, reading, true),
  );
  const { host, bytes, shift, plan, made } = value;
  for (const warning of plan.warnings) writeSync(2, `sbx: ${visible(warning)}\n`);
  const places = { env: process.env, home: host.user.home, uid: host.user.uid, nowMs: Date.now() };
  if (made !== undefined) {
    const { answerFor } = await import("./create.js");
    writeSync(1, `${await answerFor(argv[0] ?? "", made, bytes, shift, places)}\n`);
    return;
  }
  const kept = keep(bytes, places);
  if (kept.kind === "file" && value.isCached === true) {
    keepEntries(kept.path, entriesFor(argv.slice(0, shift), kept.path, recording));
  }
  writeSync(1, kept.kind === "file" ? `exec ${shift} ${kept.path}\n` : `memfd ${shift}\n`);
}

/** The same, executed from memory by this very process. Does not return. */
export async function runFromMemory(argv: readonly string[]): Promise<void> {
  const memory = await loadMemory();
  const handOver = memory.readHandOver(argv);
  const { bytes, shift } = await compileArguments(handOver.arguments, { pipes: false }, false);
  const own = memory.lastArguments(handOver.arguments.length - shift);
  memory.execFromMemory(
    bytes,
    ["sbx", ...own],
    [...memory.callerEnvironment(), ...handOver.environment],
    handOver.inherited,
  );
}

/** koffi is native, and may be missing or not fit this machine. */
async function loadMemory() {
  try {
    return await import("../launch/native/memfd.js");
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n")[0] : String(error);
    return fail(
      "execute the program from memory",
      `koffi cannot be loaded: ${why}`,
      "Install sbx anew (npm ci), or set XDG_CACHE_HOME to a directory of yours where files can be executed",
    );
  }
}

/** What the launcher is to start. */
interface Program extends Pick<Compiled, "plan" | "bytes"> {
  readonly host: Host;
  /** How many words of the launcher's are not the command's own. */
  readonly shift: number;
  /** Whether it may be used again. */
  readonly isCached?: boolean;
  /** Where it is kept. */
  readonly made?: Made;
}

/**
 * Whether a program may be used again that was compiled for the spec. What Node makes or finds for one run
 * alone is not: networks, other sandboxes, volumes, kept uppers. Nor is what cannot be told twice, where a
 * set-up that fails is tried anew.
 */
function isRepeatable({ sbx }: Spec): boolean {
  const { network, join, volumes = [], writes, preserveFds, statusFd } = sbx;
  const mode = network?.from.mode ?? "none";
  return (
    ["none", "host", "auto", "pasta", "slirp4netns"].includes(mode) &&
    join === undefined &&
    volumes.length === 0 &&
    writes !== "upper" &&
    preserveFds === 0 &&
    statusFd === undefined &&
    sbx.life === undefined
  );
}

async function compileArguments(
  [name, ...argv]: readonly string[],
  reading: Reading,
  isFile: boolean,
): Promise<Program> {
  try {
    const isCreate = name === "create";
    if (isCreate || (name === "run" && parseRun(argv).flags.detach === true)) {
      const parsed = isCreate ? parseRun(argv, createOptions) : parseRun(argv);
      const { compileKept } = await import("./create.js");
      return { ...(await compileKept(parsed, reading)), shift: argv.length + 1 };
    }
    if (name === "start" || name === "restart") {
      const { compileNamed } = await import("./start.js");
      return await compileNamed(name, argv);
    }
    if (name === "attach") {
      const { compileAttached } = await import("./attach.js");
      return await compileAttached(argv);
    }
    if (name === "exec") {
      const { compileEntrance } = await import("./exec.js");
      return await compileEntrance(argv, reading);
    }
    const unshare = name === "unshare" ? await import("../launch/programs/unshare.js") : null;
    const parsed = unshare
      ? { ...parseCommand<OptionTable>(argv, unshareOptions), rootfs: "/" }
      : parseRun(argv);
    // The command reaches the program as its arguments: the same program serves every command.
    const { spec, host } = await readRequest({ ...parsed, command: [] }, reading);
    const shift = parsed.commandIndex + 1;
    // What is executed from memory has no place to be found in, and gets the command's words alone.
    const isCached =
      unshare === null && isFile && parsed.flags.cache !== false && isRepeatable(spec);
    createVolumes(spec);
    const compiled =
      unshare?.compileUnshare(spec, host, process.env.SHELL || "/bin/sh") ??
      compileSandbox(spec, host, isCached ? { launcher: launcher(), words: shift } : null);
    return { host, shift, ...compiled, isCached: isCached && compiled.plan.warnings.length === 0 };
  } catch (error) {
    tellStatus(argv, error);
    throw error;
  }
}

/** Those that the spec names and that are not there yet. */
export function createVolumes({ sbx }: Spec): void {
  for (const { path } of sbx.volumes ?? []) createVolume(dirname(path), basename(path));
}

/** Programs that asked for a status fd learn there as well why nothing was started. */
function tellStatus(argv: readonly string[], error: unknown): void {
  const fd = statusFdOf(argv);
  if (fd === null || !(error instanceof SbxError)) return;
  for (const { what, why } of error.problems) {
    writeSync(
      fd,
      `${JSON.stringify({ event: "error", step: what, why, exitCode: error.exitCode })}\n`,
    );
  }
}

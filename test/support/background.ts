/** Sandboxes in the background, without the commands: programs as `sbx run -d` and `sbx start` compile them. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseRun } from "../../cmd/parse.js";
import { readRequest } from "../../cmd/request.js";
import { compileSandbox } from "../../launch/compile.js";
import { type KeptState, readState } from "../../launch/life/kept-state.js";
import type { LifeKeys } from "../../spec/life.js";
import { temporaryDirectory } from "./inside.js";
import { busyboxRootfs } from "./rootfs.js";
import { patienceMs, type SbxOptions, type SbxResult, start } from "./sandbox.js";

export interface Background {
  readonly id: string;
  readonly directory: string;
  readonly program: string;
  start(options?: SbxOptions): Promise<SbxResult>;
  state(): KeptState | null;
  /** The state once it satisfies the condition. */
  until(condition: (state: KeptState) => boolean): Promise<KeptState>;
  ended(): Promise<KeptState>;
  /** What the command has written, by the log. */
  output(): { stdout: string; stderr: string };
}

export interface BackgroundOptions {
  /** Of `sbx run`. */
  readonly options?: readonly string[];
  readonly life?: Partial<LifeKeys>;
  readonly terminal?: boolean;
  /** Absent: a new one. */
  readonly directory?: string;
}

let made = 0;
let parent: string | undefined;

/** A sandbox of the busybox rootfs that runs a shell script. */
export async function background(
  script: string,
  {
    options = ["--userns=single", "--network=none"],
    life,
    terminal,
    ...more
  }: BackgroundOptions = {},
): Promise<Background> {
  made += 1;
  parent ??= temporaryDirectory("background");
  const id = `${made}`.padStart(12, "0");
  const directory = more.directory ?? join(parent, id);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { spec, host } = await readRequest(parseRun([...options, busyboxRootfs()]));
  const keys: LifeKeys = {
    id,
    directory,
    stdin: false,
    restart: { name: "no" },
    log: { maxSizeBytes: 10_000_000, maxFiles: 3 },
    removeAtEnd: false,
    ...life,
  };
  const process = { ...spec.process, args: ["sh", "-c", script], terminal: terminal === true };
  const { bytes } = compileSandbox({ ...spec, process, sbx: { ...spec.sbx, life: keys } }, host);
  const program = join(directory, "program");
  writeFileSync(program, bytes, { mode: 0o700 });
  const until = (condition: (state: KeptState) => boolean) => stateThat(directory, condition);
  return {
    id,
    directory,
    program,
    start: (how) => start([program], how),
    state: () => readState(directory),
    until,
    ended: () => until(({ status }) => status === "exited"),
    output: () => outputOf(directory, keys.log?.maxFiles ?? 0),
  };
}

async function stateThat(
  directory: string,
  condition: (state: KeptState) => boolean,
): Promise<KeptState> {
  for (const deadline = Date.now() + patienceMs; Date.now() < deadline; await sleep(10)) {
    const state = readState(directory);
    if (state !== null && condition(state)) return state;
  }
  throw new Error(`it has not come to that: ${JSON.stringify(readState(directory))}`);
}

/** All that the log has, the oldest file first; fails on what is no entry. Bytes are those of latin1. */
function outputOf(directory: string, files: number): { stdout: string; stderr: string } {
  const pieces = { stdout: [] as string[], stderr: [] as string[] };
  for (let number = files; number >= 0; number--) {
    const text = readLog(join(directory, number === 0 ? "log" : `log.${number}`));
    for (const line of text.split("\n").slice(0, -1)) {
      const [, stream, mark, said = ""] =
        /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) ([FP]) (.*)$/s.exec(line) ?? [];
      if (stream !== "stdout" && stream !== "stderr") throw new Error(`no entry: ${line}`);
      pieces[stream].push(mark === "F" ? `${said}\n` : said);
    }
  }
  return { stdout: pieces.stdout.join(""), stderr: pieces.stderr.join("") };
}

function readLog(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return "";
  }
}

/** The answerer as a program of its own, whose channel is fd 3. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { context } from "../../launch/lower/context.js";
import { answererChannel, lowerAnswerer } from "../../launch/lower/netns/answerer/answerer.js";
import type { Program } from "../../launch/machine/ir.js";
import { compile } from "../../launch/machine/link.js";
import { temporaryDirectory } from "./inside.js";
import type { Lab } from "./lab.js";

export function answererProgram(upstreams: readonly string[]): Program {
  const c = context({ steps: [], notes: [], warnings: [], init: false, statusFd: null });
  c.b.set(answererChannel, 3);
  lowerAnswerer(c, { architecture: "x86_64", upstreams });
  return c.b.finish();
}

export interface StartedAnswerer {
  readonly child: ChildProcess;
  /** What it said first: 0, or the errno of its failure. */
  readonly errno: number;
  readonly pid: number;
  /** Closes its channel, and waits for its end: the exit code. */
  stop(): Promise<number | null>;
}

let directory: string | undefined;
let started = 0;

/** Starts one in the namespace of the bridges; `around` is a command that starts another. */
export async function startAnswerer(
  lab: Lab,
  upstreams: readonly string[],
  around: readonly string[] = [],
): Promise<StartedAnswerer> {
  directory ??= temporaryDirectory("answerer");
  started += 1;
  const path = join(directory, `${started}`);
  writeFileSync(path, compile(answererProgram(upstreams), "x86_64"), { mode: 0o700 });
  const stdio = ["ignore", "ignore", "inherit", "pipe"] as const;
  const child = lab.spawn(null, [...around, path], { stdio: [...stdio] });
  const channel = child.stdio[3] as Duplex;
  const [said] = (await once(channel, "data")) as [Buffer];
  return {
    child,
    errno: Number(said.readBigUInt64LE()),
    pid: child.pid ?? 0,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
      const exit = once(child, "exit");
      channel.destroy();
      const [code] = (await exit) as [number | null];
      return code;
    },
  };
}

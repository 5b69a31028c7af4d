/** Networks for tests, and what is left of their holder. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Network } from "../../spec/network.js";
import { opensOf } from "./held.js";
import { temporaryDirectory } from "./inside.js";
import { busyboxRootfs } from "./rootfs.js";
import { command } from "./sandbox.js";

/** Keeps networks in a store of the test's own, with a run directory of its own, and so a holder. */
export function useNetworks(name: string, networks: readonly Partial<Network>[]): void {
  const directory = temporaryDirectory(name);
  process.env.XDG_DATA_HOME = join(directory, "data");
  process.env.XDG_RUNTIME_DIR = join(directory, "run");
  const store = join(directory, "data/sbx/networks");
  mkdirSync(store, { recursive: true, mode: 0o700 });
  mkdirSync(join(directory, "run"), { mode: 0o700 });
  for (const [index, network] of networks.entries()) {
    const internal = network.internal ?? false;
    const whole = {
      bridge: `sbx${internal ? "i" : "e"}0000000${index}`,
      subnet: `10.89.${index}.0/24`,
      gateway: `10.89.${index}.1`,
      internal,
      createdMs: 0,
      ...network,
    };
    writeFileSync(join(store, `${network.name}.json`), JSON.stringify(whole));
  }
}

/** A sandbox that says what its script prints, and lives as long as its stdin is open. */
export interface Sibling {
  readonly child: ChildProcess;
  /** What it has printed before the line `ready`. */
  readonly said: string;
  readonly stderr: () => string;
  /** Closes its stdin and waits for its end. */
  end(): Promise<void>;
}

const running = new Set<ChildProcess>();

/** Kills what a test that failed has left. */
export function endSiblings(): void {
  for (const child of running) child.kill("SIGKILL");
}

/** Starts a sandbox of the busybox rootfs, and waits until its script has come to its end. */
export const sibling = (options: readonly string[], script: string): Promise<Sibling> =>
  siblingOf([command, "run", ...options, busyboxRootfs()], script);

/** The same of a program, or any words that a command can be given to. */
export async function siblingOf(
  [file = "", ...words]: readonly string[],
  script: string,
): Promise<Sibling> {
  const child = spawn(file, [...words, "sh", "-c", `${script}\necho ready; exec cat`], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  running.add(child);
  let out = "";
  let err = "";
  const ended = new Promise<void>((done) =>
    child.on("close", () => {
      running.delete(child);
      done();
    }),
  );
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  await new Promise<void>((done, fail) => {
    child.stdout.on("data", (chunk) => {
      out += chunk;
      if (out.endsWith("ready\n")) done();
    });
    void ended.then(() => fail(new Error(`it ended: ${out}${err}`)));
  });
  const end = () => {
    child.stdin.end();
    return ended;
  };
  return { child, said: out.replace(/ready\n$/, ""), stderr: () => err, end };
}

/** The pid of the keeper whose run directory is that of this test; null where there is none. */
export function keeper(): number | null {
  const run = join(process.env.XDG_RUNTIME_DIR ?? "", "sbx");
  const found = pids().find((pid) => {
    return argumentsOf(pid).startsWith("sbx-networks") && opensOf(pid).includes(run);
  });
  return found ?? null;
}

const pids = () =>
  readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));

function argumentsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It has ended meanwhile, or is another user's.
    return "";
  }
}

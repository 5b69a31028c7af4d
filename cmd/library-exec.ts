/** More commands in a sandbox of the library's that runs: what `sbx exec` does. */

import { callersRunDirectory } from "../launch/facts/run-directory.js";
import { listSandboxes } from "../launch/life/records.js";
import type { SandboxCommand, Start } from "../launch/process/sandbox-process.js";
import { fail } from "../spec/error.js";
import type { ExecOptions, SandboxProcess } from "./library.js";
import { settingsOf, startOf, statusFd, type Variables, variablesOf } from "./library-start.js";

/** The programs of one sandbox that are at hand; more are compiled anew. */
const most = 64;

/**
 * `exec` of that sandbox, whose own command has been executed when `ready` resolves. What that one was given of
 * `environment` all others have, too. `start` is called before anything else is waited for.
 */
export function execIn(
  { pid, exit }: SandboxCommand,
  ready: Promise<boolean>,
  environment: ExecOptions["env"],
  start: (start: Start) => SandboxCommand,
): SandboxProcess["exec"] {
  const programs = new Map<string, Promise<Program>>();
  let hasEnded = false;
  exit.then(() => {
    hasEnded = true;
  });
  const programFor = (options: ExecOptions): Promise<Program> => {
    const key = JSON.stringify([options.cwd, options.user, Object.keys(options.env ?? {}).sort()]);
    const known = programs.get(key);
    if (known !== undefined) return known;
    if (programs.size === most) programs.clear();
    const program = compileFor(pid, options);
    programs.set(key, program);
    program.catch(() => programs.delete(key));
    return program;
  };
  return async (command, args = [], own = {}) => {
    const options = { ...own, env: { ...environment, ...own.env } };
    const how = startOf(command, args, options);
    const { programInMemory } = await import("../launch/native/memfd.js");
    const { closeFd } = await import("../launch/native/native.js");
    if (!(await ready) || hasEnded) fail("enter the sandbox", "it has ended");
    // It takes away the permission to execute it when it starts: each is started once.
    const { bytes, variables } = await programFor(options);
    const settings = settingsOf(variables, options.env);
    const fd = programInMemory(bytes);
    try {
      const path = `/proc/self/fd/${fd}`;
      return start({ ...how, environment: settings, path, enters: true });
    } finally {
      closeFd(fd);
    }
  };
}

interface Program {
  readonly bytes: Uint8Array;
  readonly variables: Variables;
}

/** A program that runs its arguments where that monitor's command runs. */
async function compileFor(monitor: number, { cwd, env, user }: ExecOptions): Promise<Program> {
  const running = await listSandboxes(callersRunDirectory(process.env));
  const sandbox = running.find((each) => each.monitor === monitor);
  if (sandbox === undefined) {
    const hint = "Otherwise see that XDG_RUNTIME_DIR is as it was when it was started";
    fail("enter the sandbox", "it has ended", hint);
  }
  const flags = {
    "status-fd": `${statusFd}`,
    env: Object.keys(env ?? {}),
    ...(cwd === undefined ? {} : { workdir: cwd }),
    ...(user === undefined ? {} : { user }),
  };
  const { compileIn } = await import("./exec.js");
  const compiled = await compileIn(sandbox, flags, { pipes: true }, { endsWithReader: true });
  return { bytes: compiled.bytes, variables: variablesOf(compiled.plan) };
}

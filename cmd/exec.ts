/** `sbx exec`: a command in a sandbox that is running. */

import { probe } from "../launch/facts/probe.js";
import { isFrozen } from "../launch/life/control-group.js";
import type { Sandbox } from "../launch/life/sandbox.js";
import { callersPlaces, findRunning } from "../launch/life/sandboxes.js";
import { compileExec, type Entrance, readInside } from "../launch/programs/exec.js";
import { fail } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import type { Spec } from "../spec/spec.js";
import { resolveUser } from "../userns/passwd.js";
import { type Reading, readText } from "./files.js";
import { execOptions } from "./options/exec.js";
import type { FlagsOf } from "./options/option.js";
import { parseCommand } from "./parse.js";
import { readPreserveFds, readStatusFd } from "./privileges.js";
import { tell } from "./tell.js";
import { readVariables } from "./variables.js";

type ExecFlags = FlagsOf<typeof execOptions>;

/** `argv` is what follows `exec`; `shift` is how many words of the launcher's come before the command's. */
export async function compileEntrance(argv: readonly string[], reading: Reading) {
  const { flags, command, commandIndex } = parseCommand(argv, execOptions);
  const [name, ...words] = command;
  if (name === undefined || words.length === 0) {
    const missing = name === undefined ? "no sandbox is named" : "no command is given";
    fail("exec", missing, "The form is sbx exec [options] NAME COMMAND…");
  }
  if (flags.privileged) {
    const why = "a command has no more rights than the sandbox that it enters";
    fail("--privileged", why, "Start the sandbox with them: --cap-add, --security-opt");
  }
  const sandbox = await findRunning(callersPlaces(process.env), name);
  return { ...(await compileIn(sandbox, flags, reading)), shift: commandIndex + 2 };
}

/** A program that runs its arguments in that sandbox. */
export async function compileIn(
  sandbox: Sandbox,
  flags: ExecFlags,
  reading: Reading,
  ends: Pick<Entrance, "endsWithReader"> = {},
) {
  const { id, name } = sandbox;
  const host = probe("/", process.env);
  if (isFrozen(sandbox)) {
    fail(`exec ${name}`, "the sandbox is paused", `Let it go on first: sbx unpause ${name}`);
  }
  const spec = withSettings(sandbox, flags, reading);
  const user = flags.user === undefined ? sandbox.user : await findUser(flags.user, sandbox, host);
  const isDetached = flags.detach === true;
  const compiled = compileExec({ sandbox, spec, user, isDetached, ...ends }, host);
  await tell("exec", { id: id ?? name, name });
  return { host, ...compiled };
}

/** By the sandbox's files as they are now; `resolveUser` takes them for what anybody may have written. */
async function findUser(wanted: string, sandbox: Sandbox, host: Host) {
  const paths = ["/etc/passwd", "/etc/group"];
  const [passwd = null, group = null] = await readInside(sandbox, host, process.env, paths);
  return resolveUser(wanted, passwd, group);
}

/** What the sandbox was started with, but for what this command has of its own. */
function withSettings({ spec }: Sandbox, flags: ExecFlags, reading: Reading): Spec {
  const readFile = (path: string, at: string) => readText(path, at, reading);
  const variables = readVariables(flags, { readFile });
  const isOpen = (setting: string) => !variables.has(setting.split("=", 1)[0] ?? "");
  const set = [...variables.values()].flatMap(({ name, value }) =>
    value === null ? [] : [`${name}=${value}`],
  );
  const env = [...spec.process.env.filter(isOpen), ...set];
  const passed = [...variables.values()].flatMap(({ name, value }) => (value === null ? name : []));
  const { statusFd: _, ...sbx } = spec.sbx;
  const { terminal: __, ...process } = spec.process;
  const { "preserve-fds": preserved, "status-fd": status } = flags;
  return {
    ...spec,
    process: {
      ...process,
      args: [],
      env,
      cwd: flags.workdir ?? process.cwd,
      ...(flags.detach ? { terminal: false } : flags.tty !== undefined && { terminal: flags.tty }),
    },
    sbx: {
      ...sbx,
      entrypoint: [],
      inheritEnv: [...["TERM"].filter(isOpen), ...passed],
      inheritAllEnv: false,
      preserveFds: preserved ? readPreserveFds(preserved, `--preserve-fds ${preserved}`) : 0,
      ...(status && { statusFd: readStatusFd(status, `--status-fd ${status}`) }),
    },
  };
}

/** How a command of the library's is started: what is not compiled into its program. */
import type { Start, Stdio } from "../launch/process/sandbox-process.js";
import { fail } from "../spec/error.js";
import type { Plan } from "../spec/plan.js";

/** On which `startProcess` listens to a program. */
export const statusFd = 3;

export interface StartOptions {
  /** Default: "pipe", all three. */
  readonly stdin?: Stdio;
  readonly stdout?: Stdio;
  readonly stderr?: Stdio;
  /** Ends the command and all it has started, when it fires. */
  readonly signal?: AbortSignal;
  /** The same after so many milliseconds; 0 for never, as `timeout` of node:child_process has it. */
  readonly timeoutMs?: number;
}

/** Of every command, in a sandbox of its own or in one that runs. */
export interface CommandOptions extends StartOptions {
  /** Working directory inside. */
  readonly cwd?: string;
  /** Variables besides the sandbox's own. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Node's timers go no further: some 24 days. */
const longestTimerMs = 2 ** 31 - 1;

/** Fails with an `SbxError` on what no caller with types would give. */
export function startOf(
  command: string,
  args: readonly string[],
  { stdin, stdout, stderr, signal, timeoutMs = 0, env }: CommandOptions,
): Omit<Start, "path" | "environment"> {
  if (!(typeof timeoutMs === "number" && timeoutMs >= 0 && timeoutMs <= longestTimerMs)) {
    fail("the option timeoutMs", `must be a number from 0 to ${longestTimerMs}`);
  }
  if (!Array.isArray(args)) fail("the arguments", "must be an array of strings");
  for (const [name, value] of Object.entries(env ?? {})) {
    if (/^$|=/.test(name)) fail("the option env", `no variable can have the name "${name}"`);
    requireText(`the variable ${name}`, name);
    requireText(`the variable ${name}`, value);
  }
  for (const word of [command, ...args]) requireText("the command", word);
  return {
    command: [command, ...args],
    stdio: [stdioOf("stdin", stdin), stdioOf("stdout", stdout), stdioOf("stderr", stderr)],
    ...(signal === undefined ? {} : { signal }),
    ...(timeoutMs === 0 ? {} : { timeoutMs }),
  };
}

/** The names of the variables that a program takes from who starts it. */
export type Variables = readonly string[] | "all";

export function variablesOf({ steps }: Plan): Variables {
  const actions = steps.flatMap(({ action }) => (action.kind === "execve" ? [action] : []));
  if (actions.some(({ inheritAll }) => inheritAll)) return "all";
  return actions.flatMap(({ inherited }) => inherited);
}

/** These as `K=V` settings, this process's own below `env`: to give it all would be half the work of a start. */
export function settingsOf(variables: Variables, env: CommandOptions["env"] = {}): string[] {
  if (variables === "all") {
    return Object.entries({ ...process.env, ...env }).map(([k, v]) => `${k}=${v}`);
  }
  return variables.flatMap((name) => {
    // Both objects have inherited properties, such as `constructor`, which are no strings.
    const value: unknown = Object.hasOwn(env, name) ? env[name] : process.env[name];
    return typeof value === "string" ? [`${name}=${value}`] : [];
  });
}

/** The kernel ends texts at the first NUL. */
function requireText(what: string, value: unknown): void {
  if (typeof value !== "string") fail(what, "must be strings");
  if (value.includes("\0")) fail(what, "has a NUL in it, which nothing on Linux can be given");
}

function stdioOf(name: string, value: Stdio = "pipe"): Stdio {
  const isFd = typeof value === "number" && Number.isInteger(value) && value >= 0;
  if (isFd || value === "pipe" || value === "ignore" || value === "inherit") return value;
  return fail(`the option ${name}`, 'must be "pipe", "ignore", "inherit", or the number of an fd');
}

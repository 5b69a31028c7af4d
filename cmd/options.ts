/**
 * The one table of the options of `sbx run`. The parser, the help that yargs prints, the
 * completions and the keys of configuration files are all made from it.
 */
import { overlayKinds, rlimitNames } from "../spec/spec.js";
import { lifeOptions } from "./life-options.js";
import { networkOptions } from "./network-options.js";
import { resourceOptions } from "./resource-options.js";

/** The keys that yargs knows, plus those that completions and parsing need. */
export interface RunOption {
  readonly type: "string" | "boolean";
  readonly describe: string;
  /** Heading in the help. */
  readonly group: string;
  readonly alias?: string | readonly string[];
  /** What the help names as default. Parsing leaves an option that is not given out. */
  readonly defaultDescription?: string;
  readonly choices?: readonly string[];
  /** May be given several times; the values add up. */
  readonly array?: true;
  /** Those of a stronger place take the place of a weaker one's, instead. */
  readonly overrides?: true;
  /** One value for each time it is given, and it may begin with a dash. */
  readonly nargs?: 1;
  readonly conflicts?: readonly string[];
  /** What a shell completes the value with, where there are no choices. */
  readonly completes?:
    | "file"
    | "directory"
    | "user"
    | "capability"
    | "variable"
    | "profile"
    | "sandbox"
    | "network";
  /** What completions offer where the value is one of an open set. */
  readonly suggestions?: readonly string[];
  /** False where `--no-x` is only an explained error. */
  readonly negatable?: false;
  /** False where the option has no meaning in a configuration file. */
  readonly configurable?: false;
}

export type OptionTable = Readonly<Record<string, RunOption>>;

const ids = "Ids:";
const isolation = "Isolation:";
const privileges = "Privileges and limits:";
const environment = "Environment and command:";
const files = "Files:";
const running = "Running:";

const value = { type: "string", nargs: 1 } as const;
const values = { type: "string", nargs: 1, array: true } as const;
const toggle = { type: "boolean" } as const;
const shareable = ["private", "host"] as const;

export const runOptions = {
  rootless: {
    ...toggle,
    negatable: false,
    group: ids,
    defaultDescription: "true",
    describe: "Map ids without privileges (the only way there is, for root too)",
  },
  userns: {
    ...value,
    group: ids,
    defaultDescription: "auto",
    suggestions: ["auto", "single", "keep-id", "nomap"],
    describe: "How ids are mapped: auto, single, keep-id[:uid=U,gid=G] or nomap",
    conflicts: ["uidmap", "gidmap"],
  },
  uidmap: {
    ...values,
    group: ids,
    describe: "Map SIZE user ids from C inside to H outside, as C:H:SIZE (repeatable)",
    conflicts: ["userns"],
  },
  gidmap: {
    ...values,
    group: ids,
    describe: "Map SIZE group ids from C inside to H outside, as C:H:SIZE (repeatable)",
    conflicts: ["userns"],
  },
  user: {
    ...value,
    alias: "u",
    group: ids,
    completes: "user",
    describe: "Run as name|uid[:group|gid] of the rootfs's passwd and group files",
  },

  pid: {
    ...value,
    group: isolation,
    completes: "sandbox",
    defaultDescription: "private",
    describe: "PID namespace: private, host or container:NAME",
  },
  ipc: {
    ...value,
    group: isolation,
    completes: "sandbox",
    defaultDescription: "private",
    describe: "IPC namespace and shared memory: private, host or container:NAME",
  },
  uts: {
    ...value,
    group: isolation,
    completes: "sandbox",
    defaultDescription: "private",
    describe: "UTS namespace (hostname): private, host or container:NAME",
  },
  cgroupns: {
    ...value,
    group: isolation,
    choices: shareable,
    defaultDescription: "private",
    describe: "Cgroup namespace: of its own, or the host's",
  },
  "time-offset": {
    ...value,
    group: isolation,
    describe: "Own time namespace, its clocks ahead: 3d, or monotonic=SECS,boottime=SECS",
  },
  hostname: {
    ...value,
    alias: "h",
    group: isolation,
    defaultDescription: "sbx",
    describe: "Host name inside",
  },
  domainname: { ...value, group: isolation, describe: "NIS domain name inside" },

  ...networkOptions,

  "cap-add": {
    ...values,
    group: privileges,
    completes: "capability",
    describe: "Add capabilities to the default set: names or ALL (repeatable, comma lists)",
  },
  "cap-drop": {
    ...values,
    group: privileges,
    completes: "capability",
    describe: "Take capabilities away: names or ALL (repeatable, comma lists)",
  },
  "security-opt": {
    ...values,
    group: privileges,
    suggestions: [
      "no-new-privileges",
      "no-new-privileges=false",
      "seccomp=",
      "seccomp=unconfined",
      "terminal-injection",
      "mask=",
      "unmask=",
      "unmask=ALL",
    ],
    describe:
      "no-new-privileges[=BOOL], seccomp=PROFILE, terminal-injection[=BOOL], mask=PATH[:PATH], unmask=ALL|PATH[:PATH] (repeatable)",
  },
  seccomp: {
    ...value,
    group: privileges,
    completes: "profile",
    defaultDescription: "default",
    describe: "Filter of system calls: a profile's FILE, default or unconfined",
  },
  ulimit: {
    ...values,
    group: privileges,
    suggestions: rlimitNames.map((name) => `${name.slice("RLIMIT_".length).toLowerCase()}=`),
    describe: "Resource limit as TYPE=SOFT[:HARD], such as nofile=1024:4096 (repeatable)",
  },
  "oom-score-adj": {
    ...value,
    group: privileges,
    describe: "How readily the kernel kills it when memory is short, -1000 to 1000",
  },
  sysctl: {
    ...values,
    group: privileges,
    describe: "Set a kernel parameter of the sandbox's namespaces, NAME=VALUE (repeatable)",
  },
  umask: { ...value, group: privileges, describe: "Mode bits to clear, octal, such as 0027" },

  ...resourceOptions,

  env: {
    ...values,
    alias: "e",
    group: environment,
    completes: "variable",
    describe: "Set a variable, K=V, or pass the caller's on, K (repeatable)",
  },
  "env-file": {
    ...values,
    group: environment,
    completes: "file",
    describe: "Read variables from a file, a line K=V or K each (repeatable)",
  },
  "env-host": { ...toggle, group: environment, describe: "Pass all of the caller's variables on" },
  workdir: {
    ...value,
    alias: "w",
    group: environment,
    defaultDescription: "/",
    describe: "Directory inside that the command starts in",
  },
  entrypoint: {
    ...value,
    group: environment,
    describe: "What runs before the command's words: a program or a JSON array of words",
  },

  lower: {
    ...values,
    group: files,
    completes: "directory",
    describe: "Lay a directory over the rootfs (repeatable, topmost first)",
    conflicts: ["in-place"],
  },
  upper: {
    ...value,
    group: files,
    completes: "directory",
    describe: "Keep what is written in this directory; its work directory is beside it, DIR.work",
    conflicts: ["in-place", "read-only", "upper-size"],
  },
  "upper-size": {
    ...value,
    group: files,
    defaultDescription: "half of the memory",
    describe: "Bound throw-away writes: a number with b, k, m or g, or a percentage of memory",
    conflicts: ["in-place", "read-only", "upper"],
  },
  overlay: {
    ...value,
    group: files,
    choices: overlayKinds,
    defaultDescription: "the first that can be had",
    describe: "Join layers with the kernel's overlay, fuse-overlayfs, or not at all",
    conflicts: ["in-place"],
  },
  "read-only": {
    ...toggle,
    group: files,
    describe: "Refuse writes to the rootfs",
    conflicts: ["in-place", "upper", "upper-size"],
  },
  "in-place": {
    ...toggle,
    group: files,
    describe: "Write into the rootfs itself, not into a throw-away layer",
    conflicts: ["read-only", "lower", "upper", "upper-size", "overlay"],
  },
  volume: {
    ...values,
    alias: "v",
    group: files,
    describe: "Show a directory, file or named volume: [SOURCE:]PATH[:OPTIONS] (repeatable)",
  },
  mount: {
    ...values,
    group: files,
    suggestions: ["type=bind,", "type=volume,", "type=tmpfs,"],
    describe: "The same in keys: type=bind|volume|tmpfs,src=SOURCE,dst=PATH,… (repeatable)",
  },
  tmpfs: {
    ...values,
    group: files,
    describe: "Mount an empty file system in memory: PATH[:size=64m,mode=1777,…] (repeatable)",
  },
  device: {
    ...values,
    group: files,
    describe: "Show a device of this machine: HOST[:PATH][:rwm] (repeatable)",
  },

  name: {
    ...value,
    group: running,
    configurable: false,
    defaultDescription: "made up",
    describe: "Name by which other commands know the sandbox",
  },
  init: {
    ...toggle,
    group: running,
    defaultDescription: "true",
    describe: "Run an init as PID 1 that reaps and forwards signals; --no-init for none",
  },
  tty: {
    ...toggle,
    alias: "t",
    group: running,
    defaultDescription: "where stdin and stdout are terminals",
    describe: "Give the command a terminal; --no-tty for none",
  },
  interactive: {
    ...toggle,
    negatable: false,
    alias: "i",
    group: running,
    describe: "Connect stdin: in the foreground it always is; in the background for sbx attach",
  },
  "preserve-fds": {
    ...value,
    group: running,
    defaultDescription: "0",
    describe: "Pass this many fds from 3 on to the command",
  },
  "status-fd": {
    ...value,
    group: running,
    describe: "Write JSON lines (pid, ready, exit, error) to this fd",
  },
  cache: {
    ...toggle,
    group: running,
    configurable: false,
    defaultDescription: "true",
    describe: "Use a program again that was compiled for the same words; --no-cache to compile",
  },
  config: {
    ...value,
    group: running,
    completes: "file",
    configurable: false,
    describe: "Read a configuration file after the site's and the user's own",
  },
  profile: {
    ...values,
    group: running,
    configurable: false,
    describe: "Take a [profile NAME] of the configuration files (repeatable)",
  },

  ...lifeOptions,
} as const satisfies OptionTable;

const { detach: _, ...others } = runOptions;
/** What `sbx create` takes. */
export const createOptions = others satisfies OptionTable;

/** The stages of the compiler that `explain` can show. */
export const stages = ["spec", "plan", "program"] as const;
export type Stage = (typeof stages)[number];

/** What `sbx explain run` takes. */
export const explainOptions = {
  stage: {
    ...value,
    choices: stages,
    defaultDescription: "plan",
    group: "Explaining:",
    describe: "What to show: the checked spec, the plan of steps, or the program's operations",
  },
  ...runOptions,
} as const satisfies OptionTable;

/** What `sbx compile` takes. */
export const compileOptions = {
  output: {
    ...value,
    alias: "o",
    group: "Compiling:",
    completes: "file",
    describe: "Write the program to this file (needed)",
  },
  arch: {
    ...value,
    choices: ["x86_64", "aarch64"],
    defaultDescription: "this machine's",
    group: "Compiling:",
    describe: "The architecture of the machines that it is for",
  },
  kernel: {
    ...value,
    defaultDescription: "this machine's",
    group: "Compiling:",
    describe: "The oldest Linux that it is for, as X.Y",
  },
  ...runOptions,
} as const satisfies OptionTable;

const { userns, uidmap, gidmap, config, profile } = runOptions;
/** What `sbx unshare` takes: what an id map depends on. */
export const unshareOptions = {
  userns,
  uidmap,
  gidmap,
  config,
  profile,
} as const satisfies OptionTable;

/** What is given for each option of a table, as it was written; what was not given is absent. */
export type FlagsOf<T extends OptionTable> = {
  -readonly [K in keyof T]?: T[K] extends { type: "boolean" }
    ? boolean
    : T[K] extends { array: true }
      ? string[]
      : string;
};

export type Flags = FlagsOf<typeof runOptions>;
export type FlagName = keyof typeof runOptions;

/** The names of an option: the long one, then its aliases. */
export function aliasesOf(option: RunOption): readonly string[] {
  const { alias } = option;
  return alias === undefined ? [] : typeof alias === "string" ? [alias] : alias;
}

/** The long name for any name of an option, or null where there is no such option. */
export function optionNamed(table: OptionTable, name: string): string | null {
  if (Object.hasOwn(table, name)) return name;
  const entry = Object.entries(table).find(([, option]) => aliasesOf(option).includes(name));
  return entry?.[0] ?? null;
}

/** All names of more than one letter, for "did you mean". */
export function longNames(table: OptionTable): string[] {
  return Object.entries(table)
    .flatMap(([name, option]) => [name, ...aliasesOf(option)])
    .filter((name) => name.length > 1);
}

/** From the options of `sbx run` to a checked spec. */
import { defaultMounts, defaultNamespaces, defaultSpec } from "../spec/default.js";
import { fail } from "../spec/error.js";
import {
  type JoinKeys,
  joinableTypes,
  type Linux,
  type NamespaceType,
  type OverlayKind,
  type Process,
  type Rlimit,
  type SbxKeys,
  type Spec,
} from "../spec/spec.js";
import { validate } from "../spec/validate.js";
import { requestedFilter, securityOptions } from "./filter.js";
import { readLabels } from "./life-flags.js";
import { specMounts } from "./mounts.js";
import { networkKeys, sharesNetwork } from "./network-flags.js";
import { readJoin } from "./network-values.js";
import { namingOptions } from "./option-names.js";
import type { OptionTable } from "./options/option.js";
import { type FlagName, type Flags, runOptions } from "./options/run.js";
import {
  readCapabilities,
  readOomScoreAdj,
  readPreserveFds,
  readStatusFd,
  readSysctl,
  readUlimit,
  readUmask,
} from "./privileges.js";
import { readCgroupKeys, readResources, withShmSize } from "./resource-flags.js";
import { readSize } from "./resource-values.js";
import {
  readAddHost,
  readEntrypoint,
  readMapping,
  readTimeOffset,
  readUserns,
  type Variable,
} from "./values.js";
import { type FlagEnvironment, readVariables } from "./variables.js";

/**
 * The spec for a command line. `command` is what the spec names as its own; empty for the
 * entrypoint's words alone, or the default shell where there is no entrypoint either.
 * Fails with an `SbxError` on options that exclude each other and on whatever `validate` finds.
 */
export function specFromFlags(
  flags: Flags,
  rootfs: string,
  command: readonly string[],
  environment: FlagEnvironment,
): Spec {
  refuseContradictions(flags);
  const base = defaultSpec(rootfs);
  const own = ownNamespaces(flags);
  const entrypoint = given(flags.entrypoint, (text) =>
    readEntrypoint(text, `--entrypoint ${text}`),
  );
  const args = command.length > 0 || entrypoint?.length ? [...command] : base.process.args;
  const hostname = flags.hostname ?? (own.includes("uts") ? base.hostname : undefined);
  const variables = readVariables(flags, environment);
  const { mounts, volumes } = specMounts(defaultMounts(own), flags, environment.places);
  const spec = {
    ...base,
    process: processKeys(base.process, args, variables, flags),
    root: { path: rootfs, readonly: flags["read-only"] || undefined },
    hostname,
    domainname: flags.domainname,
    annotations: readLabels(flags, environment),
    mounts: withShmSize(mounts, flags),
    linux: {
      ...linuxKeys(base.linux, own, flags),
      resources: readResources(flags, environment.findDisk),
      seccomp: environment.profile,
    },
    sbx: { ...sbxKeys(base.sbx, entrypoint, variables, flags), volumes },
  } satisfies Record<keyof Spec, unknown>;
  return namingOptions(() => validate(spec));
}

/** `validate` passes over keys that are undefined. */
type Loose<T> = { [K in keyof T]: T[K] | undefined };

function given<T>(text: string | undefined, read: (text: string) => T): T | undefined {
  return text === undefined ? undefined : read(text);
}

/** Whether an option is given, `--no-x` not counting. */
export function isGiven(flags: Flags, name: string): boolean {
  const value = flags[name as FlagName];
  return value !== undefined && value !== false;
}

function refuseContradictions(flags: Flags): void {
  if (flags.rootless === false) {
    fail(
      "--no-rootless",
      "sbx makes every sandbox in a user namespace, run by root as well",
      "Leave it out; as root, --uidmap and --gidmap may map any ids",
    );
  }
  if (flags.interactive === false) {
    fail("--no-interactive", "stdin is always connected", "Give it nothing to read: </dev/null");
  }
  if (flags.hosts === false && flags["add-host"] !== undefined) {
    fail("--no-hosts", "cannot be given together with --add-host", "Leave one of them out");
  }
  if (flags.rm === false) {
    fail("--no-rm", "one in the background is kept, and others never are", "Leave it out");
  }
  refuseConflicts(flags, runOptions);
}

/** Fails where options are given together that exclude each other by the table. */
export function refuseConflicts(flags: Flags, table: OptionTable): void {
  for (const [name, { conflicts = [] }] of Object.entries(table)) {
    const other = conflicts.find((each) => isGiven(flags, each));
    if (isGiven(flags, name) && other !== undefined) {
      fail(`--${name}`, `cannot be given together with --${other}`, "Leave one of them out");
    }
  }
}

/** Which option shares which namespace. User and mount namespaces are never shared. */
const sharing = {
  pid: "pid",
  ipc: "ipc",
  uts: "uts",
  cgroupns: "cgroup",
} as const satisfies Partial<Record<FlagName, NamespaceType>>;

/** What is not private is not the sandbox's own. */
const isShared = (text: string | undefined) => text !== undefined && text !== "private";

/** Those of another sandbox. */
function joinKeys(flags: Flags): JoinKeys | undefined {
  const asked = joinableTypes.flatMap((type) => {
    const text = flags[type];
    const sandbox = text === undefined ? null : readJoin(text, `--${type} ${text}`);
    return sandbox === null ? [] : [{ type, text, sandbox }];
  });
  const [first] = asked;
  if (first === undefined) return undefined;
  const other = asked.find(({ sandbox }) => sandbox !== first.sandbox);
  if (other !== undefined) {
    fail(
      `--${other.type} ${other.text}`,
      `cannot be given together with --${first.type} ${first.text}`,
      "All namespaces that are joined are one sandbox's",
    );
  }
  return { sandbox: first.sandbox, namespaces: asked.map(({ type }) => type) };
}

function ownNamespaces(flags: Flags): NamespaceType[] {
  const shared = Object.entries(sharing)
    .filter(([flag]) => isShared(flags[flag as keyof typeof sharing]))
    .map(([, type]): NamespaceType => type);
  if (sharesNetwork(flags)) shared.push("network");
  const own = defaultNamespaces.filter((type) => !shared.includes(type));
  return flags["time-offset"] === undefined ? own : [...own, "time"];
}

function processKeys(
  base: Process,
  args: string[],
  variables: ReadonlyMap<string, Variable>,
  flags: Flags,
): Loose<Process> {
  // Names set here come after the defaults, whose own setting of the name they take away.
  const defaults = base.env.filter((setting) => !variables.has(setting.split("=", 1)[0] ?? ""));
  const settings = [...variables.values()].flatMap(({ name, value }) =>
    value === null ? [] : [`${name}=${value}`],
  );
  const limits = (flags.ulimit ?? []).map((text) => readUlimit(text, `--ulimit ${text}`));
  const byType = new Map(limits.map((limit): [string, Rlimit] => [limit.type, limit]));
  const noNewPrivileges = securityOptions(flags).findLast(
    (option) => option.kind === "no-new-privileges",
  );
  return {
    ...base,
    args,
    env: [...defaults, ...settings],
    cwd: flags.workdir ?? base.cwd,
    terminal: flags.tty,
    rlimits: byType.size > 0 ? [...byType.values()] : undefined,
    noNewPrivileges: noNewPrivileges?.on ?? base.noNewPrivileges,
    oomScoreAdj: given(flags["oom-score-adj"], (text) =>
      readOomScoreAdj(text, `--oom-score-adj ${text}`),
    ),
  };
}

/** Whether a pattern names the path: `*` and `?` stand for anything but a slash, as in glob(7). */
function matches(pattern: string, path: string): boolean {
  const source = pattern
    .replace(/\/+$/, "")
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", "[^/]*")
    .replaceAll("?", "[^/]");
  return new RegExp(`^${source}$`).test(path);
}

function linuxKeys(base: Linux, own: readonly NamespaceType[], flags: Flags): Loose<Linux> {
  const options = securityOptions(flags);
  const unmasked = options.flatMap((option) => (option.kind === "unmask" ? option.paths : []));
  const hidden = (path: string) =>
    !unmasked.some((pattern) => pattern === "ALL" || matches(pattern, path));
  const masked = options.flatMap((option) => (option.kind === "mask" ? option.paths : []));
  const offsets = given(flags["time-offset"], (text) =>
    readTimeOffset(text, `--time-offset ${text}`),
  );
  const mappings = (option: "uidmap" | "gidmap") =>
    flags[option]?.map((text) => readMapping(text, `--${option} ${text}`));
  const sysctls = flags.sysctl?.map((text) => readSysctl(text, `--sysctl ${text}`));
  return {
    namespaces: own.map((type) => ({ type })),
    uidMappings: mappings("uidmap"),
    gidMappings: mappings("gidmap"),
    timeOffsets:
      offsets &&
      Object.fromEntries(Object.entries(offsets).map(([clock, secs]) => [clock, { secs }])),
    sysctl: sysctls && Object.fromEntries(sysctls),
    maskedPaths: [...new Set([...(base.maskedPaths ?? []).filter(hidden), ...masked])],
    readonlyPaths: (base.readonlyPaths ?? []).filter(hidden),
  };
}

function sbxKeys(
  base: SbxKeys,
  entrypoint: string[] | undefined,
  variables: ReadonlyMap<string, Variable>,
  flags: Flags,
): Loose<SbxKeys> {
  const capabilities = (option: "cap-add" | "cap-drop") => {
    const names = flags[option]?.flatMap((text) => readCapabilities(text, `--${option} ${text}`));
    return names && [...new Set(names)];
  };
  const inherited = [...variables.values()].flatMap(({ name, value }) =>
    value === null ? [name] : [],
  );
  const terminalInjection = securityOptions(flags).findLast(
    (option) => option.kind === "terminal-injection",
  );
  const inheritedByDefault = base.inheritEnv.filter((name) => !variables.has(name));
  return {
    ...base,
    name: flags.name,
    network: networkKeys(flags, base.network),
    join: joinKeys(flags),
    userns: given(flags.userns, (text) => readUserns(text, `--userns ${text}`)) ?? base.userns,
    user: flags.user,
    umask: given(flags.umask, (text) => readUmask(text, `--umask ${text}`)),
    cgroup: readCgroupKeys(flags),
    capAdd: capabilities("cap-add"),
    capDrop: capabilities("cap-drop"),
    ...requestedFilter(flags),
    terminalInjection: terminalInjection?.on,
    lowers: flags.lower,
    writes:
      flags["in-place"] === true ? "in-place" : flags.upper === undefined ? base.writes : "upper",
    upper: flags.upper,
    upperSizeBytes: given(flags["upper-size"], (text) => readSize(text, `--upper-size ${text}`)),
    overlay: flags.overlay as OverlayKind | undefined,
    etcFiles: {
      hosts: flags.hosts ?? true,
      addHosts: (flags["add-host"] ?? []).map((text) => readAddHost(text, `--add-host ${text}`)),
    },
    entrypoint: entrypoint ?? base.entrypoint,
    inheritEnv: [...inheritedByDefault, ...inherited],
    inheritAllEnv: flags["env-host"] ?? base.inheritAllEnv,
    init: flags.init ?? base.init,
    preserveFds:
      given(flags["preserve-fds"], (text) => readPreserveFds(text, `--preserve-fds ${text}`)) ??
      base.preserveFds,
    statusFd: given(flags["status-fd"], (text) => readStatusFd(text, `--status-fd ${text}`)),
  };
}

/** From the options of `sbx run` to a checked spec. */
import { defaultMounts, defaultSpec } from "../spec/default.js";
import type {
  Linux,
  NamespaceType,
  OverlayKind,
  Process,
  Rlimit,
  SbxKeys,
  Spec,
} from "../spec/spec.js";
import { validate } from "../spec/validate.js";
import { refuseContradictions } from "./contradictions.js";
import { requestedFilter, securityOptions } from "./filter.js";
import { readLabels } from "./life-flags.js";
import { specMounts } from "./mounts.js";
import { joinKeys, ownNamespaces } from "./namespace-flags.js";
import { networkKeys } from "./network-flags.js";
import { namingOptions } from "./option-names.js";
import type { Flags } from "./options/run.js";
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

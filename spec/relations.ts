/** What must hold between the parts of a spec, each of which is right by itself. */
import { checkNetwork } from "./network-relations.js";
import { checkResources } from "./resource-relations.js";
import type { Report } from "./shape.js";
import type { Linux, Mapping, NamespaceType, Process, SbxKeys, Spec } from "./spec.js";

/** A spec of which only the parts that passed their own check are there. */
export type PartialSpec = Omit<Partial<Spec>, "process" | "linux" | "sbx"> & {
  process?: Partial<Process>;
  linux?: Partial<Linux>;
  sbx?: Partial<SbxKeys>;
};

/** Reports every contradiction. */
export function checkRelations(spec: PartialSpec, report: Report): void {
  const listed = spec.linux?.namespaces?.map(({ type }) => type);
  if (listed !== undefined) {
    checkNamespaces(listed, report);
    checkWhatNeedsNamespaces(spec, new Set(listed), report);
  }
  checkMappings("linux.uidMappings", spec.linux?.uidMappings, report);
  checkMappings("linux.gidMappings", spec.linux?.gidMappings, report);
  checkProcess(spec, report);
  checkLayers(spec, report);
  checkLife(spec, report);
  checkNetwork(spec, report);
  checkJoin(spec, report);
  checkResources(spec, report);
  const { statusFd, preserveFds, seccomp } = spec.sbx ?? {};
  if (seccomp === "unconfined" && spec.linux?.seccomp !== undefined) {
    report("linux.seccomp", "contradicts sbx.seccomp, which is unconfined");
  }
  if (statusFd !== undefined && preserveFds !== undefined && statusFd < 3 + preserveFds) {
    report(
      "sbx.statusFd",
      `${statusFd} is among the ${preserveFds} fds from 3 on that the command gets`,
      `Use fd ${3 + preserveFds} or one above it`,
    );
  }
}

/** Both are fds of whoever starts it, and it has none of them. */
function checkLife({ sbx }: PartialSpec, report: Report): void {
  if (sbx?.life === undefined) return;
  const why = "is for a sandbox in the foreground, and this one has sbx.life";
  if (sbx.statusFd !== undefined) report("sbx.statusFd", why);
  if ((sbx.preserveFds ?? 0) > 0) report("sbx.preserveFds", why);
}

function checkNamespaces(listed: readonly NamespaceType[], report: Report): void {
  for (const [index, type] of listed.entries()) {
    if (listed.indexOf(type) !== index) {
      report(`linux.namespaces[${index}].type`, `${type} is listed twice`);
    }
  }
  if (!listed.includes("user")) {
    report(
      "linux.namespaces",
      "user is missing, and only in a user namespace may a caller without privileges mount",
      'Add {"type": "user"}',
    );
  }
  if (!listed.includes("mount")) {
    report(
      "linux.namespaces",
      "mount is missing, and without a mount namespace the root of the host would be changed",
      'Add {"type": "mount"}',
    );
  }
}

/** A setting without a namespace of its own would be one of the host's, see namespaces(7). */
function checkWhatNeedsNamespaces(
  spec: PartialSpec,
  own: ReadonlySet<NamespaceType>,
  report: Report,
): void {
  const needs = (type: NamespaceType, at: string, given: unknown) => {
    if (given === undefined || own.has(type)) return;
    report(
      at,
      `is a setting of the ${type} namespace, which is shared with ${sharedWith(spec, type)}`,
      "Leave it out, or give the sandbox a namespace of its own",
    );
  };
  needs("uts", "hostname", spec.hostname);
  needs("uts", "domainname", spec.domainname);
  needs("user", "linux.uidMappings", spec.linux?.uidMappings);
  needs("user", "linux.gidMappings", spec.linux?.gidMappings);
  needs("time", "linux.timeOffsets", spec.linux?.timeOffsets);
  for (const name of Object.keys(spec.linux?.sysctl ?? {})) {
    const type = sysctlNamespace(name);
    if (type !== null) needs(type, `linux.sysctl[${JSON.stringify(name)}]`, name);
  }
  if (own.has("time") && spec.sbx?.init === false) {
    report(
      "sbx.init",
      "a time namespace needs the init: only children of its maker enter it (time_namespaces(7))",
    );
  }
}

function sharedWith({ sbx }: PartialSpec, type: NamespaceType): string {
  const { join } = sbx ?? {};
  const isJoined = join?.namespaces.some((each) => each === type) === true;
  return isJoined ? `the sandbox ${join.sandbox}` : "the host";
}

/** Whose user namespace owns what is joined, owns the sandbox's: it can be but one's. */
function checkJoin({ linux, sbx }: PartialSpec, report: Report): void {
  const { join, network, init } = sbx ?? {};
  if (join === undefined) return;
  for (const [index, type] of join.namespaces.entries()) {
    const at = `sbx.join.namespaces[${index}]`;
    if (join.namespaces.indexOf(type) !== index) report(at, `${type} is given twice`);
    if (linux?.namespaces?.some((own) => own.type === type)) {
      report(at, "is in linux.namespaces as well", "Give it in one of the two");
    }
  }
  const { from } = network ?? {};
  const mine = `the ${join.namespaces.join(", ")} namespace is that of the sandbox ${join.sandbox}`;
  const both = `The network can be the same one's, container:${join.sandbox}, one of this sandbox's own, or none`;
  if (from?.mode === "sandbox" && from.sandbox !== join.sandbox) {
    report("sbx.network.from", `is of the sandbox ${from.sandbox}, and ${mine}`, both);
  }
  if (from?.mode === "networks" || from?.mode === "path") {
    report("sbx.network.from", `belongs to somebody else, and ${mine}`, both);
  }
  if (join.namespaces.includes("pid") && init === false) {
    report(
      "sbx.init",
      "a pid namespace that is joined needs the init: only children of who joins it are in it (setns(2))",
    );
  }
}

const ipcSysctls = [
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
];

/**
 * The namespace that a sysctl belongs to, or null where it is the whole host's: namespaces(7),
 * ipc_namespaces(7), network_namespaces(7), and what runc's validator allows.
 */
export function sysctlNamespace(name: string): NamespaceType | null {
  if (ipcSysctls.includes(name) || name.startsWith("fs.mqueue.")) return "ipc";
  return name.startsWith("net.") ? "network" : null;
}

/** Lines of one map must not overlap, inside or outside: user_namespaces(7). */
function checkMappings(at: string, mappings: readonly Mapping[] | undefined, report: Report): void {
  for (const [index, line] of (mappings ?? []).entries()) {
    const path = `${at}[${index}]`;
    for (const key of ["containerID", "hostID"] as const) {
      if (line[key] + line.size > 2 ** 32 - 1) {
        report(`${path}.size`, `${line[key]} + ${line.size} goes beyond the last id, 4294967294`);
      }
      const before = (mappings ?? [])
        .slice(0, index)
        .findIndex(
          (other) => other[key] < line[key] + line.size && line[key] < other[key] + other.size,
        );
      if (before >= 0) report(`${path}.${key}`, `overlaps ${at}[${before}]`);
    }
  }
}

function checkProcess(spec: PartialSpec, report: Report): void {
  const { args, rlimits, user } = spec.process ?? {};
  const { entrypoint } = spec.sbx ?? {};
  if (args?.length === 0 && entrypoint?.length === 0) {
    report("process.args", "must name a command, for there is no entrypoint");
  }
  if (user !== undefined && spec.sbx?.user !== undefined) {
    report("sbx.user", "the user is given in process.user as well", "Give one of the two");
  }
  for (const [index, { type, soft, hard }] of (rlimits ?? []).entries()) {
    const path = `process.rlimits[${index}]`;
    if ((rlimits ?? []).findIndex((other) => other.type === type) !== index) {
      report(`${path}.type`, `${type} is given twice`);
    }
    if (hard !== "unlimited" && (soft === "unlimited" || soft > hard)) {
      report(`${path}.soft`, `${soft} is above the hard limit ${hard}`);
    }
  }
}

/** Where writes go must be one place, and an overlay there only where it is needed. */
function checkLayers({ root, sbx }: PartialSpec, report: Report): void {
  if (sbx === undefined) return;
  const { writes, upper, lowers = [], upperSizeBytes, overlay } = sbx;
  const readonly = root?.readonly === true;
  if (readonly && (writes === "in-place" || writes === "upper")) {
    report("root.readonly", `contradicts sbx.writes, which is ${writes}`);
  }
  if ((writes === "upper") !== (upper !== undefined)) {
    report("sbx.upper", 'goes with sbx.writes being "upper", and the other way round');
  }
  if (writes === "in-place" && lowers.length > 0) {
    report(
      "sbx.lowers",
      "there is no place among several layers: writes need an upper of their own",
    );
  }
  if (
    upperSizeBytes !== undefined &&
    (readonly || (writes !== "throw-away" && writes !== undefined))
  ) {
    report("sbx.upperSizeBytes", "bounds throw-away writes, and there are none");
  }
  if (overlay !== undefined && (writes === "in-place" || (readonly && lowers.length === 0))) {
    report(
      "sbx.overlay",
      "there is nothing to be joined: the rootfs is one directory, bound as it is",
    );
  }
}

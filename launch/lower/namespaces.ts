/**
 * The namespaces of a sandbox as others enter them: by way of /proc/MONITOR/fd, where the monitor has them
 * open. The init lets nobody look into it, and the payload may be anything.
 *
 * Each has a number before anything else can fail, for the record. What the init has yet to make then,
 * it sends. The mount namespace is not to be had before the payload runs: until the init has
 * changed its root, it shows the files of the host. The numbers of these lead to the user namespace meanwhile,
 * which setns(2) takes for none of the others.
 */
import type { NamespaceType } from "../../spec/spec.js";
import { slot } from "../machine/builder.js";
import { k } from "../machine/constants.js";
import type { Slot } from "../machine/ir.js";
import { actionOf, type Context, s } from "./context.js";
import { joinedTypes } from "./joined.js";
import { isEarly } from "./payload/early.js";
import { sendFd } from "./rights.js";
import { compose, type JsonPiece } from "./text/text.js";

/** What a type is called below /proc/PID/ns, and to clone(2) and setns(2). */
export const namespaceFiles = {
  user: ["user", "CLONE_NEWUSER"],
  mount: ["mnt", "CLONE_NEWNS"],
  // Where a sandbox is in that of another, its init is not.
  pid: ["pid_for_children", "CLONE_NEWPID"],
  network: ["net", "CLONE_NEWNET"],
  ipc: ["ipc", "CLONE_NEWIPC"],
  uts: ["uts", "CLONE_NEWUTS"],
  cgroup: ["cgroup", "CLONE_NEWCGROUP"],
  time: ["time_for_children", "CLONE_NEWTIME"],
} as const satisfies Record<NamespaceType, readonly [string, string]>;

/** In the order in which messages number them. */
const lateTypes = ["cgroup", "time"] as const;
export type LateType = (typeof lateTypes)[number];

const directory = slot("namespacesFd");
const opened = slot("namespaceFd");
const numberOf = (type: NamespaceType) => slot(`namespaceFd.${type}`);
/** The mount namespace until it may be had; -1 before it is open, and after that. */
const mount = slot("mountNamespaceFd");

/** Before any step. */
export function namespacesState({ b }: Context): void {
  b.set(mount, -1);
  for (const type of ["mount", "network", ...lateTypes] as const) b.set(numberOf(type), -1);
}

/** In the monitor, while the init can be looked into. Gives the JSON object of their fds. */
export function openNamespaces(c: Context): JsonPiece[] {
  const { b, memory } = c;
  const late = [
    ...(isEarly(c) ? (["network"] as const) : []),
    ...(actionOf(c, "sendNamespaces")?.types ?? []),
  ];
  const early = earlyTypes(c);
  compose(c, [b.text("/proc/"), { decimal: s.initPid }, b.text("/ns")]);
  b.must("openat", [k("AT_FDCWD"), memory.text, k("O_PATH", "O_CLOEXEC"), 0], directory);
  for (const type of early) {
    const [file] = namespaceFiles[type];
    const fd = type === "mount" ? mount : numberOf(type);
    b.must("openat", [directory, b.text(file), k("O_RDONLY", "O_CLOEXEC"), 0], fd);
  }
  b.must("close", [directory]);
  for (const type of ["mount", ...late] as const) {
    b.must("fcntl", [numberOf("user"), k("F_DUPFD_CLOEXEC"), 3], numberOf(type));
  }
  const members = [...early, ...late].flatMap((type, index) => [
    `${index === 0 ? "" : ","}"${type}":`,
    { decimal: numberOf(type) },
  ]);
  return ["{", ...members, "}"];
}

/** Those that the init is in from its clone on. */
function earlyTypes(c: Context): NamespaceType[] {
  const flags = actionOf(c, "clone")?.namespaces ?? [];
  const joined = joinedTypes(c);
  return (Object.keys(namespaceFiles) as NamespaceType[]).filter(
    (type) => flags.some((flag) => flag === namespaceFiles[type][1]) || joined.includes(type),
  );
}

/** In the init, while it has the host's /proc: the step. */
export function sendNamespaces(c: Context, types: readonly LateType[]): void {
  const { b } = c;
  for (const type of types) {
    const path = b.text(`/proc/self/ns/${namespaceFiles[type][0]}`);
    b.must("openat", [k("AT_FDCWD"), path, k("O_RDONLY", "O_CLOEXEC"), 0], opened);
    sendFd(c, "namespace", opened, lateTypes.indexOf(type));
    b.must("close", [opened]);
  }
}

/** In the monitor, when one has come; `which` is its number. */
export function takeNamespace(c: Context, fd: Slot, which: Slot): void {
  const { b } = c;
  for (const type of actionOf(c, "sendNamespaces")?.types ?? []) {
    const other = b.fresh("namespace");
    b.branch(which, "ne", lateTypes.indexOf(type), other);
    replace(c, fd, numberOf(type));
    b.label(other);
  }
}

/** In the monitor, when the payload runs: the network namespace that the init was to enter. */
export function showNetwork(c: Context, fd: Slot): void {
  const { b } = c;
  const none = b.fresh("namespace");
  b.branch(numberOf("network"), "lt", 0, none);
  replace(c, fd, numberOf("network"));
  b.label(none);
}

/** In the monitor, when the payload runs. */
export function showMounts(c: Context): void {
  const { b } = c;
  const none = b.fresh("namespace");
  b.branch(mount, "lt", 0, none);
  replace(c, mount, numberOf("mount"));
  b.set(mount, -1);
  b.label(none);
}

function replace({ b }: Context, fd: Slot, number: Slot): void {
  b.ignore("both are open: nobody can enter it if not", "dup3", [fd, number, k("O_CLOEXEC")]);
  b.ignore("it is ours", "close", [fd]);
}

/**
 * In the monitor, when the init has ended: mounts that live on would keep fuse-overlayfs, whose end is
 * waited for.
 */
export function leaveMounts({ b }: Context): void {
  for (const fd of [mount, numberOf("mount")]) b.ignore("it is ours, or -1", "close", [fd]);
}

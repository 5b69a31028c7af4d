/** The sandbox that `sbx run ROOTFS` without any flag makes. */
import type { Mount, NamespaceType, Spec } from "./spec.js";

/** As runc and podman set it where an image says nothing. */
export const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Hidden from the payload: parts of proc and sys that are not namespaced and tell of the host's
 * hardware, kernel memory, keys and timing. The list of moby's oci/defaults.go (v28); its entries
 * for each CPU's thermal_throttle depend on the machine and are left out.
 */
export const defaultMaskedPaths: readonly string[] = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];

/** Readable, but settings of the host's kernel: moby's oci/defaults.go (v28). */
export const defaultReadonlyPaths: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

/** The namespaces that a sandbox has of its own unless one is shared. */
export const defaultNamespaces: readonly NamespaceType[] = [
  "user",
  "mount",
  "pid",
  "network",
  "ipc",
  "uts",
  "cgroup",
];

/**
 * The mounts for a sandbox with these namespaces of its own. proc, sysfs and mqueue each show one
 * namespace and can be mounted only by who owns it (mount(2), EPERM; user_namespaces(7)): where
 * that namespace is shared, the host's mount is bound instead. Shared memory goes with ipc.
 */
export function defaultMounts(own: readonly NamespaceType[]): Mount[] {
  const guarded = ["nosuid", "noexec", "nodev"];
  const bound = (path: string, ...more: string[]): Mount => ({
    destination: path,
    type: "bind",
    source: path,
    options: ["rbind", ...guarded, ...more],
  });
  const fresh = (destination: string, type: string, source: string, options: string[]): Mount => ({
    destination,
    type,
    source,
    options,
  });
  const ownIpc = own.includes("ipc");
  return [
    own.includes("pid") ? fresh("/proc", "proc", "proc", guarded) : bound("/proc"),
    fresh("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    own.includes("network")
      ? fresh("/sys", "sysfs", "sysfs", [...guarded, "ro"])
      : bound("/sys", "ro"),
    fresh("/dev/pts", "devpts", "devpts", [
      "nosuid",
      "noexec",
      "newinstance",
      "ptmxmode=0666",
      "mode=0620",
      "gid=5",
    ]),
    ownIpc
      ? fresh("/dev/shm", "tmpfs", "shm", [...guarded, "mode=1777", "size=65536k"])
      : bound("/dev/shm"),
    ownIpc ? fresh("/dev/mqueue", "mqueue", "mqueue", guarded) : bound("/dev/mqueue"),
  ];
}

/** What every sandbox is called by itself that was given no name, and so nobody is called by by others. */
export const defaultHostname = "sbx";

/**
 * A shell in `rootfs`, isolated in every namespace but time, as `runc spec --rootless` gives it, and
 * connected as podman does it. User, capabilities, HOME and HOSTNAME are left to the plan, which knows
 * the rootfs's users.
 */
export function defaultSpec(rootfs: string): Spec {
  return {
    ociVersion: "1.2.0",
    process: {
      args: ["/bin/sh"],
      env: [`PATH=${defaultPath}`],
      cwd: "/",
      noNewPrivileges: true,
    },
    root: { path: rootfs },
    hostname: defaultHostname,
    mounts: defaultMounts(defaultNamespaces),
    linux: {
      namespaces: defaultNamespaces.map((type) => ({ type })),
      maskedPaths: [...defaultMaskedPaths],
      readonlyPaths: [...defaultReadonlyPaths],
    },
    sbx: {
      userns: { mode: "auto" },
      seccomp: "default",
      writes: "throw-away",
      etcFiles: { hosts: true, addHosts: [] },
      entrypoint: [],
      inheritEnv: ["TERM"],
      inheritAllEnv: false,
      init: true,
      preserveFds: 0,
      network: { from: { mode: "auto" } },
    },
  };
}

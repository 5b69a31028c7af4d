/** Machines and sandboxes for the tests of the planners. */
import { defaultSpec } from "../../spec/default.js";
import { type Host, pastaOptions } from "../../spec/host.js";
import { etcFileNames, type Place, type RootfsFacts } from "../../spec/host-rootfs.js";
import type { Mapping, Spec, UsernsMode } from "../../spec/spec.js";

const everyId = [{ start: 0, size: 4294967295 }];

/** The files of /etc of a rootfs, all of them there or not; `owner` is whose their directory is then. */
export function etcOf(type: Place["type"], owner?: number): RootfsFacts["etc"] {
  const whose = owner === undefined ? {} : { owner };
  const places = etcFileNames.map((name) => [name, { path: `/etc/${name}`, type, ...whose }]);
  return Object.fromEntries(places) as RootfsFacts["etc"];
}

/** An ordinary user's laptop, changed by `overrides`. */
export function hostOf(overrides: Partial<Host> = {}): Host {
  return {
    architecture: "x86_64",
    kernel: { release: "6.1.0", major: 6, minor: 1 },
    user: { uid: 1000, gid: 100, name: "alice", home: "/home/alice" },
    mapsAnyId: false,
    subuids: [{ start: 100000, size: 65536 }],
    subgids: [{ start: 200000, size: 65536 }],
    freeSubids: { uid: 165536, gid: 265536 },
    namespaceIds: { uids: everyId, gids: everyId },
    setgroupsDenied: false,
    noNewPrivileges: false,
    seccomp: {
      actions: "kill_process kill_thread trap errno user_notif trace log allow".split(" "),
      isFiltered: false,
    },
    newuidmap: { path: "/usr/bin/newuidmap", setuidRoot: true },
    newgidmap: { path: "/usr/bin/newgidmap", setuidRoot: true },
    userNamespaces: { max: 63000, unprivilegedClone: null, apparmorRestricted: null },
    mounts: [],
    etc: {
      hostname: "laptop",
      hosts: "127.0.0.1 localhost laptop\n",
      resolvConf: "nameserver 192.0.2.53\n",
      resolvConfBehindStub: "",
      machineId: "0123456789abcdef0123456789abcdef\n",
      localtime: "/usr/share/zoneinfo/Etc/UTC",
    },
    rootfs: {
      path: "/srv/debian",
      mode: 0o755,
      passwd: null,
      group: null,
      etc: etcOf("file"),
      directories: {},
      scratch: [],
      volatile: ["/run", "/tmp", "/var/tmp"],
    },
    lowers: [],
    mountInLayer: null,
    upper: null,
    fuse: { device: true, overlayfs: "/usr/bin/fuse-overlayfs" },
    cgroup: {
      mode: "v2",
      mountPoint: "/sys/fs/cgroup",
      v1Controllers: [],
      guardsLimits: true,
      own: [
        {
          path: "/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope",
          writable: false,
          controllers: ["cpu", "memory", "pids"],
          isVacant: false,
        },
      ],
      parent: null,
      manager: {
        socket: { kind: "bus", path: "/run/user/1000/bus" },
        path: "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service",
        controllers: ["cpuset", "cpu", "io", "memory", "pids"],
      },
    },
    limits: null,
    networks: [],
    uplinks: {
      pasta: { path: "/usr/bin/pasta", options: [...pastaOptions] },
      slirp4netns: { path: "/usr/bin/slirp4netns" },
      tun: true,
      ipv6: true,
      routes: { ipv4: "192.0.2.1", ipv6: false },
    },
    upperStore: "/home/alice/.cache/sbx/uppers",
    joined: null,
    run: { path: "/run/user/1000/sbx", base: "/run/user/1000" },
    ...overrides,
  };
}

/** The same machine without subordinate ids. */
export const poorHost = hostOf({ subuids: [], subgids: [] });

/** Real root. */
export function rootHost(overrides: Partial<Host> = {}): Host {
  const user = { uid: 0, gid: 0, name: "root", home: "/root" };
  return hostOf({ user, mapsAnyId: true, subuids: [], subgids: [], ...overrides });
}

/** The default sandbox without its way out, of which then nothing is in the plan. */
export function closedSpec(rootfs: string): Spec {
  const { sbx, ...spec } = defaultSpec(rootfs);
  const { network: _, ...keys } = sbx;
  return { ...spec, sbx: keys };
}

/** A sandbox with a mode, or with explicit maps. */
export function specOf(userns: UsernsMode, uidMappings?: Mapping[], gidMappings?: Mapping[]): Spec {
  const spec = defaultSpec("/srv/debian");
  return {
    ...spec,
    linux: {
      ...spec.linux,
      ...(uidMappings === undefined ? {} : { uidMappings }),
      ...(gidMappings === undefined ? {} : { gidMappings }),
    },
    sbx: { ...spec.sbx, userns },
  };
}

/** Mappings as `C:H:SIZE` words. */
export function render(mappings: readonly Mapping[]): string {
  return mappings.map((m) => `${m.containerID}:${m.hostID}:${m.size}`).join(" ");
}

/** The opposite of `render`. */
export function maps(text: string): Mapping[] {
  return text.split(" ").map((word) => {
    const [containerID = 0, hostID = 0, size = 0] = word.split(":").map(Number);
    return { containerID, hostID, size };
  });
}

/** The message that `action` fails with. */
export function failureOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof Error && error.name === "SbxError") return error.message;
    throw error;
  }
  throw new Error("it did not fail");
}

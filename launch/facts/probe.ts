/** The probe: the one place where sbx reads the machine. It is on the way to every compiled program. */
import { hostname, machine, release } from "node:os";
import { isAbsolute, join } from "node:path";
import { parseActions } from "../../seccomp/support.js";
import { fail } from "../../spec/error.js";
import type { Architecture, Host } from "../../spec/host.js";
import type { Resources } from "../../spec/resources.js";
import type { SbxKeys } from "../../spec/spec.js";
import { networkStore, readNetworks } from "../store/networks.js";
import { noCgroups, readCgroups } from "./cgroup-facts.js";
import {
  findHelper,
  findInPath,
  type MachineFiles,
  mapsAnyId,
  parseNamespaceIds,
  readFreeSubid,
  readOptional,
  readSubids,
  readUser,
  realPath,
} from "./identity.js";
import { canOpen, type LayerPaths, mountInLayer, readLayers } from "./layer-facts.js";
import { readLimitFacts } from "./limit-facts.js";
import { parseMountinfo } from "./mountinfo.js";
import { noteUnrepeatable, readLazily, withoutNote } from "./readings.js";
import { runDirectory } from "./run-directory.js";
import { noUplinks, readUplinks } from "./uplink-facts.js";

export { type Blocker, userNamespaceBlocker } from "../plan/blocker.js";

const machineFiles: MachineFiles = {
  etc: "/etc",
  proc: "/proc",
  resolved: "/run/systemd/resolve/resolv.conf",
  bin: ["/usr/bin", "/bin", "/usr/local/bin"],
};

/**
 * Reads what a plan for the rootfs at `rootfs`, with the layers above it and the networks and the group that `keys` name, limited by `resources`, depends on.
 * Without `keys` all is read; with them, what a sandbox without limits or without a way out does not need is left out.
 * `environment` is the caller's: HOME, PATH and XDG's variables of it count. Gives up where the rootfs is no directory that can be used; anything else
 * that is missing is null or empty. All but the layers is read when it is first asked for, and it is then that an architecture is refused that sbx does
 * not compile for.
 */
export function probe(
  rootfs: string,
  environment: NodeJS.ProcessEnv,
  files: MachineFiles = machineFiles,
  keys?: LayerPaths & Pick<SbxKeys, "network" | "cgroup">,
  resources?: Resources,
): Host {
  const mountinfo = () => readOptional(join(files.proc, "self/mountinfo")) ?? "";
  const status = () => readOptional(join(files.proc, "self/status")) ?? "";
  const isGrouped = keys === undefined || resources !== undefined || keys.cgroup !== undefined;
  const isApart = ["none", "host"].includes(keys?.network?.from.mode ?? "");
  const ids = (kind: "uid" | "gid") =>
    // A kernel without user namespaces has no such file, and all ids.
    parseNamespaceIds(readOptional(join(files.proc, `self/${kind}_map`)) ?? "0 0 4294967295");
  const host: Host = readLazily<Host>({
    architecture: () => readArchitecture(machine()),
    kernel: () => parseRelease(release()),
    user: () => readUser(environment),
    mapsAnyId: () => mapsAnyId(host.user.uid, status),
    subuids: () => readSubids("uid", host.user, files, environment.PATH),
    subgids: () => readSubids("gid", host.user, files, environment.PATH),
    freeSubids: () => ({ uid: readFreeSubid("uid", files), gid: readFreeSubid("gid", files) }),
    namespaceIds: () => ({ uids: ids("uid"), gids: ids("gid") }),
    setgroupsDenied: () => readOptional(join(files.proc, "self/setgroups"))?.trim() === "deny",
    noNewPrivileges: () => /^NoNewPrivs:\s*1$/m.test(status()),
    seccomp: () =>
      readLazily<Host["seccomp"]>({
        // The kernel's own, which uname(2) tells.
        actions: () =>
          withoutNote(() => {
            const actions = readOptional(join(files.proc, "sys/kernel/seccomp/actions_avail"));
            return actions === null ? null : parseActions(actions);
          }),
        // What a filter refuses is seen as it refuses it.
        isFiltered: () => withoutNote(() => /^Seccomp:\s*2$/m.test(status())),
      }),
    newuidmap: () => findHelper("newuidmap", files, environment.PATH),
    newgidmap: () => findHelper("newgidmap", files, environment.PATH),
    userNamespaces: () =>
      withoutNote(() => ({
        max: readSetting(files, "user/max_user_namespaces"),
        unprivilegedClone: readSwitch(files, "kernel/unprivileged_userns_clone"),
        apparmorRestricted: readSwitch(files, "kernel/apparmor_restrict_unprivileged_userns"),
      })),
    mounts: () => parseMountinfo(mountinfo()),
    etc: () =>
      readLazily<Host["etc"]>({
        hostname,
        hosts: () => readOptional(join(files.etc, "hosts")) ?? "",
        resolvConf: () => readOptional(join(files.etc, "resolv.conf")) ?? "",
        resolvConfBehindStub: () => readOptional(files.resolved) ?? "",
        machineId: () => readOptional(join(files.etc, "machine-id")) ?? "",
        localtime: () => realPath(join(files.etc, "localtime")),
      }),
    rootfs: () => layers.rootfs,
    lowers: () => layers.lowers,
    // The kernel refuses the overlay then: that there is none needs no note.
    mountInLayer: () => withoutNote(() => mountInLayer(host)) && mountInLayer(host),
    upper: () => layers.upper,
    fuse: () =>
      readLazily<Host["fuse"]>({
        device: () => canOpen("/dev/fuse"),
        overlayfs: () => findInPath("fuse-overlayfs", environment.PATH, files.bin)[0] ?? null,
      }),
    networks: () => readNetworks(keys?.network, networkStore(environment, host.user.home)),
    uplinks: () => (isApart ? noUplinks : readUplinks(environment, files)),
    cgroup: () => {
      if (!isGrouped) return noCgroups;
      // Who else is in a group is another each time.
      noteUnrepeatable("who is in the control group");
      const { uid } = host.user;
      return readCgroups(files.proc, mountinfo(), uid, environment, keys?.cgroup?.parent);
    },
    limits: () => (resources === undefined ? null : readLimitFacts(resources, host.cgroup)),
    upperStore: () => join(cacheHome(environment, host.user.home), "sbx/uppers"),
    // Looked up where the spec names one: launch/plan/joined.ts.
    joined: () => null,
    run: () =>
      runDirectory(environment, host.user, () =>
        readOptional(join(files.proc, "sys/kernel/random/boot_id")),
      ),
  });
  const layers = readLayers(rootfs, keys ?? {}, host);
  return host;
}

function readArchitecture(name: string): Architecture {
  if (name === "x86_64" || name === "aarch64") return name;
  return fail("compile for this machine", `sbx knows x86_64 and aarch64, and this is ${name}`);
}

/** `6.1.0-18-amd64` and the like: uname(2). */
export function parseRelease(text: string): Host["kernel"] {
  const match = /^(\d+)\.(\d+)/.exec(text);
  if (match === null) return fail("read the kernel's version", `${text} does not begin with one`);
  return { release: text, major: Number(match[1]), minor: Number(match[2]) };
}

/** A relative path is to be ignored: XDG Base Directory Specification, "Environment variables". */
export function cacheHome({ XDG_CACHE_HOME: path }: NodeJS.ProcessEnv, home: string): string {
  return path !== undefined && isAbsolute(path) ? path : join(home, ".cache");
}

/** A number below /proc/sys; null where the kernel has no such setting. */
function readSetting(files: MachineFiles, name: string): number | null {
  const text = readOptional(join(files.proc, "sys", name));
  return text === null || !/^\d+\s*$/.test(text) ? null : Number(text);
}

function readSwitch(files: MachineFiles, name: string): boolean | null {
  const value = readSetting(files, name);
  return value === null ? null : value !== 0;
}

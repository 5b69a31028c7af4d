/** From the options that limit resources to `linux.resources`, `sbx.cgroup` and the size of /dev/shm. */
import { fail } from "../spec/error.js";
import type { CgroupKeys, CgroupManager, DeviceNumber, Resources } from "../spec/resources.js";
import type { Mount } from "../spec/spec.js";
import type { FlagsOf } from "./options/option.js";
import type { limitOptions } from "./options/resources.js";
import type { Flags } from "./options/run.js";
import type { Reader } from "./privileges.js";
import { type DeviceSetting, resourceReaders } from "./resource-values.js";

export type LimitFlags = FlagsOf<typeof limitOptions>;

/** The numbers of the disk at a path; fails, naming `at`, where there is none. */
export type FindDisk = (path: string, at: string) => DeviceNumber;

type Readers = typeof resourceReaders;
/** The options whose values are read as `T`. */
type OptionOf<T> = {
  [K in keyof Readers]: Readers[K] extends Reader<T> ? K : never;
}[keyof Readers];

/** The parts of an object that are given; undefined where none is. */
function part<T extends object>(keys: { [K in keyof T]: T[K] | undefined }): T | undefined {
  const given = Object.entries(keys).filter(([, value]) => value !== undefined);
  return given.length === 0 ? undefined : (Object.fromEntries(given) as T);
}

/** Undefined where nothing is limited. */
export function readResources(flags: LimitFlags, findDisk: FindDisk): Resources | undefined {
  const number = (name: Exclude<OptionOf<number>, "shm-size">) => {
    const text = flags[name];
    // 0 is as good as not given, as with docker.
    return text === undefined
      ? undefined
      : resourceReaders[name](text, `--${name} ${text}`) || undefined;
  };
  const disks = <T>(name: OptionOf<DeviceSetting>, make: (amount: number) => T) =>
    flags[name]?.map((text) => {
      const at = `--${name} ${text}`;
      const { device, amount } = resourceReaders[name](text, at);
      return { ...findDisk(device, at), ...make(amount) };
    });
  const rates = (name: OptionOf<DeviceSetting>) => disks(name, (rate) => ({ rate }));
  const unified = flags["cgroup-conf"]?.map((text) =>
    resourceReaders["cgroup-conf"](text, `--cgroup-conf ${text}`),
  );
  const [limit, quota, cpus, pids] = [
    number("memory"),
    number("cpu-quota"),
    number("cpus"),
    number("pids-limit"),
  ];
  // docker-run(1): as much swap again, where nothing is said about it.
  const swap = number("memory-swap") ?? (limit === undefined || limit < 0 ? limit : 2 * limit);
  return part<Resources>({
    memory: part({ limit, reservation: number("memory-reservation"), swap }),
    cpu: part({
      shares: number("cpu-shares"),
      quota: cpus ?? quota,
      period: cpus === undefined ? number("cpu-period") : 100_000,
      cpus: flags["cpuset-cpus"],
      mems: flags["cpuset-mems"],
    }),
    pids: pids === undefined ? undefined : { limit: pids },
    blockIO: part({
      weight: number("blkio-weight"),
      weightDevice: disks("blkio-weight-device", (weight) => ({ weight })),
      throttleReadBpsDevice: rates("device-read-bps"),
      throttleWriteBpsDevice: rates("device-write-bps"),
      throttleReadIOPSDevice: rates("device-read-iops"),
      throttleWriteIOPSDevice: rates("device-write-iops"),
    }),
    unified: unified && Object.fromEntries(unified),
  });
}

/** Undefined where no option says anything of the group itself. */
export function readCgroupKeys(flags: Flags): CgroupKeys | undefined {
  const { "cgroup-manager": manager, "cgroup-parent": parent, "cgroup-writable": writable } = flags;
  if (manager === undefined && parent === undefined && !writable) return undefined;
  return {
    manager: (manager as CgroupManager | undefined) ?? "auto",
    ...part({ parent, writable: writable || undefined }),
  };
}

/** `mounts` with the /dev/shm that `--shm-size` asks for. */
export function withShmSize(mounts: Mount[], flags: Flags): Mount[] {
  const text = flags["shm-size"];
  if (text === undefined) return mounts;
  const at = `--shm-size ${text}`;
  const size = `size=${resourceReaders["shm-size"](text, at)}`;
  const isShm = ({ destination, source }: Mount) => destination === "/dev/shm" && source === "shm";
  if (!mounts.some(isShm)) {
    fail(
      at,
      "/dev/shm is not the sandbox's own: something else is mounted there, or --ipc=host shares it",
      "Leave one of them out",
    );
  }
  return mounts.map((mount) => {
    const options = mount.options?.map((word) => (word.startsWith("size=") ? size : word));
    return options !== undefined && isShm(mount) ? { ...mount, options } : mount;
  });
}

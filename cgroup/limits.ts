/**
 * `linux.resources` as writes to the files of a control group of version 2. Facts of the files are of
 * Documentation/admin-guide/cgroup-v2.rst of Linux; what the words of version 1 become is what runc
 * makes of them (opencontainers/cgroups, fs2/ and utils.go).
 *
 * systemd needs none of them as a property of the scope: it leaves what is below a delegated unit alone
 * (systemd's CGROUP_DELEGATION.md), and the sandbox's group is one below it.
 */
import type { LimitWrite } from "../spec/actions/cgroup.js";
import type { LimitFacts } from "../spec/host-cgroup.js";
import type { DeviceNumber, Resources, Throttle } from "../spec/resources.js";

/** In the order in which they are made: what each needs is there, and no state between kills anything. */
export function limitWrites(
  { memory, cpu, pids, blockIO, unified }: Resources,
  facts: Pick<LimitFacts, "hasSwap" | "disks">,
): LimitWrite[] {
  return [
    ...(memory === undefined ? [] : memoryWrites(memory, facts.hasSwap)),
    ...(cpu === undefined ? [] : cpuWrites(cpu)),
    ...(pids === undefined ? [] : [amount("pids.max", pids.limit)]),
    ...(blockIO === undefined ? [] : ioWrites(blockIO, facts.disks)),
    // A file of devices takes one line at a write.
    ...Object.entries(unified ?? {}).flatMap(([file, text]) =>
      text.split("\n").flatMap((line) => (line === "" ? [] : [{ file, text: line }])),
    ),
  ];
}

/** The controllers that a set of limits needs, by the kernel's names. */
export function neededControllers(resources: Resources, facts: LimitFacts): string[] {
  const names = limitWrites(resources, facts).flatMap(({ file, otherwise }) =>
    otherwise === null ? [] : [file.split(".")[0] ?? ""],
  );
  // Files of the core are in every group.
  return [...new Set(names)].filter((name) => name !== "cgroup");
}

const given = (value: number | undefined): value is number => value !== undefined && value !== 0;

/** A file that holds one number or `max`, which it holds from the start. */
function amount(file: string, value: number): LimitWrite {
  return value < 0 ? { file, text: "max", otherwise: null } : { file, text: String(value) };
}

function memoryWrites(
  { limit, swap, reservation }: NonNullable<Resources["memory"]>,
  hasSwap: boolean,
): LimitWrite[] {
  // Version 2 counts swap by itself.
  const swapAlone = given(swap) ? (swap < 0 ? swap : swap - (limit ?? 0)) : undefined;
  return [
    ...(given(limit) ? [amount("memory.max", limit)] : []),
    ...(swapAlone === undefined
      ? []
      : // A kernel that does not count swap keeps a limit of it where there is none.
        [{ ...amount("memory.swap.max", swapAlone), ...(hasSwap ? {} : { otherwise: null }) }]),
    ...(given(reservation) ? [amount("memory.low", reservation)] : []),
  ];
}

function cpuWrites({
  shares,
  quota,
  period,
  cpus,
  mems,
}: NonNullable<Resources["cpu"]>): LimitWrite[] {
  const after = period === undefined ? "" : ` ${period}`;
  return [
    ...(given(quota)
      ? quota < 0
        ? [{ file: "cpu.max", text: `max${after}`, otherwise: null }]
        : [{ file: "cpu.max", text: `${quota}${after}` }]
      : []),
    ...(given(shares) ? [{ file: "cpu.weight", text: String(cpuWeight(shares)) }] : []),
    ...(mems === undefined ? [] : [{ file: "cpuset.mems", text: mems }]),
    ...(cpus === undefined ? [] : [{ file: "cpuset.cpus", text: cpus }]),
  ];
}

/**
 * 2 to 262144 shares of version 1 as a weight from 1 to 10000, 1024 being 100: the curve through these
 * three that opencontainers/cgroups has since v0.0.3 (pull request 20), runc since 1.3.2.
 */
export function cpuWeight(shares: number): number {
  const log = Math.log2(shares);
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34));
}

/** 10 to 1000 of version 1 as 1 to 10000, for disks without the BFQ scheduler. */
export function ioWeight(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990);
}

const numberOf = ({ major, minor }: DeviceNumber) => `${major}:${minor}`;

function ioWrites(
  blockIO: NonNullable<Resources["blockIO"]>,
  disks: LimitFacts["disks"],
): LimitWrite[] {
  // The kernel takes whole disks alone.
  const diskOf = (device: DeviceNumber) => disks[numberOf(device)] ?? numberOf(device);
  const weighted = (weight: number, disk = ""): LimitWrite => ({
    file: "io.bfq.weight",
    text: `${disk}${weight}`,
    otherwise: { file: "io.weight", text: `${disk}${ioWeight(weight)}` },
  });
  const rates = new Map<string, string[]>();
  const throttle = (key: string, list: readonly Throttle[] = []) => {
    for (const device of list) {
      const disk = diskOf(device);
      rates.set(disk, [...(rates.get(disk) ?? []), `${key}=${device.rate || "max"}`]);
    }
  };
  throttle("rbps", blockIO.throttleReadBpsDevice);
  throttle("wbps", blockIO.throttleWriteBpsDevice);
  throttle("riops", blockIO.throttleReadIOPSDevice);
  throttle("wiops", blockIO.throttleWriteIOPSDevice);
  return [
    ...(given(blockIO.weight) ? [weighted(blockIO.weight)] : []),
    ...(blockIO.weightDevice ?? []).map((each) => weighted(each.weight, `${diskOf(each)} `)),
    ...[...rates].map(([disk, settings]) => ({
      file: "io.max",
      text: `${disk} ${settings.join(" ")}`,
      ...(settings.every((each) => each.endsWith("=max")) ? { otherwise: null } : {}),
    })),
  ];
}

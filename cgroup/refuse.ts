/** Limits that this machine cannot have, found before anything is started. */
import { type Problem, SbxError } from "../spec/error.js";
import type { LimitFacts } from "../spec/host-cgroup.js";
import { didYouMean } from "../spec/nearest.js";
import type { Resources } from "../spec/resources.js";

/**
 * Below it everything was killed, on Linux 6.1: of a sandbox that runs a command that needs nothing, the kernel
 * itself keeps 300 KiB, for mounts, namespaces and processes, of which it can take back little.
 */
const leastMemoryBytes = 256 * 1024;

/** Fails with everything that cannot be had, and gives what is different from what was asked for, as notes. */
export function refuseLimits(resources: Resources, facts: LimitFacts): string[] {
  const problems: Problem[] = [];
  const { limit = 0 } = resources.memory ?? {};
  if (limit > 0 && limit < leastMemoryBytes) {
    problems.push({
      what: `linux.resources.memory.limit: ${limit}`,
      why: "what the kernel itself keeps of a sandbox is more than so many bytes",
      hint: "Give 512k or more",
    });
  }
  const { cpus, mems } = resources.cpu ?? {};
  const lists = [
    ["cpus", "CPU", cpus, facts.cpus],
    ["mems", "memory node", mems, facts.mems],
  ] as const;
  for (const [key, what, wanted, there] of lists) {
    const absent = numbersIn(wanted ?? "").find((number) => !numbersIn(there).includes(number));
    if (absent === undefined) continue;
    problems.push({
      what: `linux.resources.cpu.${key}: ${wanted}`,
      why: `there is no ${what} ${absent}`,
      hint: `There are ${there}`,
    });
  }
  for (const [number, disk] of Object.entries(facts.disks)) {
    if (disk !== null) continue;
    problems.push({
      what: `linux.resources.blockIO: ${number}`,
      why: "there is no block device of this number",
      hint: "lsblk lists those that there are",
    });
  }
  for (const file of Object.keys(resources.unified ?? {}))
    problems.push(...unknownFile(file, facts));
  if (problems.length > 0) throw new SbxError(problems);
  return Object.entries(facts.disks).flatMap(([number, disk]) =>
    disk === number
      ? []
      : [
          `the limits of ${number} hold for its whole disk, ${disk}: the kernel limits no partitions`,
        ],
  );
}

/** The numbers of a list such as `0-3,7`. */
function numbersIn(list: string): number[] {
  return list.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number);
    if (range === "" || first === undefined || last === undefined) return [];
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

const controllers = [
  "cgroup",
  "cpu",
  "cpuset",
  "dmem",
  "hugetlb",
  "io",
  "memory",
  "misc",
  "pids",
  "rdma",
];

/** That a file is absent can only be told where others of its controller are there to be seen. */
function unknownFile(file: string, { files }: LimitFacts): Problem[] {
  const [controller = ""] = file.split(".");
  const isKnown = controllers.includes(controller);
  const near = isKnown
    ? didYouMean(file, files[controller] ?? [])
    : didYouMean(controller, controllers);
  if (isKnown ? (files[controller]?.includes(file) ?? true) : near === undefined) return [];
  return [
    {
      what: `linux.resources.unified[${JSON.stringify(file)}]`,
      why: isKnown ? "this kernel has no such file" : `there is no controller ${controller}`,
      ...(near === undefined ? {} : { hint: near }),
    },
  ];
}

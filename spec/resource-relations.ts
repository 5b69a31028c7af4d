/** What must hold between limits, on whatever machine they are set. */
import type { PartialSpec } from "./relations.js";
import type { Resources } from "./resources.js";
import type { Report } from "./shape.js";

/** Files of a group that move or steer its processes: none of them is a limit. cgroup-v2.rst, "Core Interface Files". */
const steering = ["procs", "threads", "type", "subtree_control", "freeze", "kill"].map(
  (name) => `cgroup.${name}`,
);

/** Reports every contradiction. */
export function checkResources({ linux, sbx = {} }: PartialSpec, report: Report): void {
  const { resources } = linux ?? {};
  if (resources !== undefined) checkLimits(resources, sbx.init !== false, report);
  if (sbx.cgroup?.manager !== "none") return;
  const refuse = (at: string) =>
    report(at, "sbx.cgroup.manager is none: there is no control group", "Leave one of them out");
  if (resources !== undefined) refuse("linux.resources");
  if (sbx.cgroup.parent !== undefined) refuse("sbx.cgroup.parent");
  if (sbx.cgroup.writable) refuse("sbx.cgroup.writable");
}

/** 0 is as good as not given, as runc has it. */
function checkLimits(
  { memory, cpu, pids, unified = {} }: Resources,
  hasInit: boolean,
  report: Report,
): void {
  const at = "linux.resources";
  const { limit = 0, swap = 0, reservation = 0 } = memory ?? {};
  if (swap > 0 && limit <= 0) {
    report(
      `${at}.memory.swap`,
      "it bounds memory and swap together, and memory has no limit",
      "Limit memory as well",
    );
  } else if (swap > 0 && swap < limit) {
    report(
      `${at}.memory.swap`,
      `${swap} bytes of memory and swap together are less than the ${limit} of memory`,
      "Give as many for no swap, more for some, or -1 for any amount of it",
    );
  }
  if (limit > 0 && reservation > limit) {
    report(
      `${at}.memory.reservation`,
      `${reservation} bytes are above the limit of ${limit}`,
      "Reserve less than the limit",
    );
  }
  const { quota = 0, period } = cpu ?? {};
  if (period !== undefined && quota === 0) {
    report(`${at}.cpu.period`, "a period alone limits nothing", "Give a quota as well");
  }
  // tg_set_cfs_bandwidth() of kernel/sched/core.c: 1 ms.
  if (quota > 0 && quota < 1000) {
    report(
      `${at}.cpu.quota`,
      `${quota} µs are less than the kernel takes`,
      "Give 1000 or more, and a longer period",
    );
  }
  if (pids?.limit === 0) {
    report(`${at}.pids.limit`, "nothing could run", "Give -1 for no limit");
  } else if (pids?.limit === 1 && hasInit) {
    report(
      `${at}.pids.limit`,
      "the init and the command are two processes",
      "Give 2 or more, or run without an init",
    );
  }
  for (const file of Object.keys(unified)) {
    if (steering.includes(file)) {
      report(
        `${at}.unified[${JSON.stringify(file)}]`,
        "is no limit, and the set-up's own to write",
        "Leave it out",
      );
    }
  }
}

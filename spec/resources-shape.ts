/** Checks of limits: spec/resources.ts. What only the host can tell, such as how many CPUs there are, is checked in cgroup/. */
import {
  type CgroupKeys,
  cgroupManagers,
  isCpuList,
  type Resources,
  type Throttle,
} from "./resources.js";
import {
  list,
  nonEmptyText,
  object,
  oneOf,
  optional,
  record,
  textThat,
  whole,
  yesOrNo,
} from "./shape.js";

const count = whole(0, Number.MAX_SAFE_INTEGER);
const countOrNone = whole(-1, Number.MAX_SAFE_INTEGER);
const cpuList = textThat("be a list such as 0-3,7", isCpuList);
const throttle = list(object<Throttle>({ major: count, minor: count, rate: count }));

export const resources = object<Resources>({
  memory: optional(
    object<NonNullable<Resources["memory"]>>({
      limit: optional(countOrNone),
      reservation: optional(countOrNone),
      swap: optional(countOrNone),
    }),
  ),
  cpu: optional(
    object<NonNullable<Resources["cpu"]>>({
      shares: optional(whole(2, 262_144)),
      quota: optional(countOrNone),
      // Of the kernel's cpu.max: kernel/sched/core.c, tg_set_cfs_bandwidth().
      period: optional(whole(1000, 1_000_000)),
      cpus: optional(cpuList),
      mems: optional(cpuList),
    }),
  ),
  pids: optional(object<NonNullable<Resources["pids"]>>({ limit: countOrNone })),
  blockIO: optional(
    object<NonNullable<Resources["blockIO"]>>({
      weight: optional(whole(10, 1000)),
      weightDevice: optional(
        list(
          object<{ major: number; minor: number; weight: number }>({
            major: count,
            minor: count,
            weight: whole(10, 1000),
          }),
        ),
      ),
      throttleReadBpsDevice: optional(throttle),
      throttleWriteBpsDevice: optional(throttle),
      throttleReadIOPSDevice: optional(throttle),
      throttleWriteIOPSDevice: optional(throttle),
    }),
  ),
  unified: optional(
    record(
      textThat("be the name of a file of version 2, such as memory.high", (word) =>
        /^[a-z]+(\.[a-z0-9_]+)+$/.test(word),
      ),
      nonEmptyText,
    ),
  ),
});

export const cgroupKeys = object<CgroupKeys>({
  manager: oneOf(...cgroupManagers),
  parent: optional(nonEmptyText),
  writable: optional(yesOrNo),
});

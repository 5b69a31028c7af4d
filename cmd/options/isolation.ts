/** The options of `sbx run` that say what it shares with this machine and with other sandboxes. */
import { type OptionTable, under } from "./option.js";

const { value } = under("Isolation:");

export const isolationOptions = {
  pid: {
    ...value,
    completes: "sandbox",
    defaultDescription: "private",
    describe: "PID namespace: private, host or container:NAME",
  },
  ipc: {
    ...value,
    completes: "sandbox",
    defaultDescription: "private",
    describe: "IPC namespace and shared memory: private, host or container:NAME",
  },
  uts: {
    ...value,
    completes: "sandbox",
    defaultDescription: "private",
    describe: "UTS namespace (hostname): private, host or container:NAME",
  },
  cgroupns: {
    ...value,
    choices: ["private", "host"],
    defaultDescription: "private",
    describe: "Cgroup namespace: of its own, or the host's",
  },
  "time-offset": {
    ...value,
    describe: "Own time namespace, its clocks ahead: 3d, or monotonic=SECS,boottime=SECS",
  },
  hostname: {
    ...value,
    alias: "h",
    defaultDescription: "sbx",
    describe: "Host name inside",
  },
  domainname: { ...value, describe: "NIS domain name inside" },
} as const satisfies OptionTable;

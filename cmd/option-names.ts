/** What is wrong with a spec, told by the options that it was made of: those are what the user wrote. */
import { type Problem, SbxError } from "../spec/error.js";
import type { FlagName } from "./options/run.js";

/** Keys of a spec, as `validate` names them: these and all below. */
const options: Readonly<Record<string, FlagName>> = {
  hostname: "hostname",
  domainname: "domainname",
  "linux.uidMappings": "uidmap",
  "linux.gidMappings": "gidmap",
  "linux.timeOffsets": "time-offset",
  "linux.sysctl": "sysctl",
  "linux.resources.memory.limit": "memory",
  "linux.resources.memory.swap": "memory-swap",
  "linux.resources.memory.reservation": "memory-reservation",
  "linux.resources.cpu.period": "cpu-period",
  "linux.resources.cpu.quota": "cpu-quota",
  "linux.resources.pids.limit": "pids-limit",
  "process.rlimits": "ulimit",
  "sbx.etcFiles.addHosts": "add-host",
  "sbx.init": "init",
  "sbx.network.dns": "dns",
  "sbx.network.from": "network",
  "sbx.network.hostLoopback": "host-loopback",
  "sbx.network.ports": "publish",
  "sbx.statusFd": "status-fd",
};

/** Calls `check`; an `SbxError` of it names options wherever there is one for what it names. */
export function namingOptions<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    throw new SbxError(error.problems.map(byOption), error.exitCode);
  }
}

function byOption(problem: Problem): Problem {
  const { what } = problem;
  const key = Object.keys(options).find(
    (each) => what === each || what.startsWith(`${each}.`) || what.startsWith(`${each}[`),
  );
  if (key === undefined) return problem;
  // Which sysctl it is, names it better than a number.
  const name = key === "linux.sysctl" ? /^linux\.sysctl\["(.*)"\]/.exec(what)?.[1] : undefined;
  return { ...problem, what: `--${options[key]}${name === undefined ? "" : ` ${name}`}` };
}

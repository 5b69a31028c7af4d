/** The values of options as people write them, read into what the spec holds. Pure. */
import { fail } from "../spec/error.js";
import { didYouMean } from "../spec/nearest.js";
import { hostGateway } from "../spec/network.js";
import { isAddress } from "../spec/network-shape.js";
import type { EtcFiles, Mapping, UsernsMode } from "../spec/spec.js";
import {
  readLabel,
  readLogOption,
  readRestart,
  readSignal,
  readStopTimeout,
} from "./life-flags.js";
import { readDevice, readMount, readTmpfs, readVolume } from "./mount-values.js";
import {
  readAlias,
  readExpose,
  readIp,
  readIp6,
  readJoin,
  readMac,
  readNetwork,
  readPublish,
  readResolverWord,
  readServer,
} from "./network-values.js";
import type { OptionTable } from "./options/option.js";
import { runOptions } from "./options/run.js";
import {
  type Reader,
  readCapabilities,
  readOomScoreAdj,
  readPreserveFds,
  readSecurityOption,
  readStatusFd,
  readSysctl,
  readUlimit,
  readUmask,
  wholeNumber,
} from "./privileges.js";
import { readSize, resourceReaders } from "./resource-values.js";

const lastId = 2 ** 32 - 2;

export const readUserns: Reader<UsernsMode> = (text, at) => {
  const [mode = "", ...rest] = text.split(":");
  const accepted = "auto, single, keep-id[:uid=U,gid=G] or nomap";
  if (mode === "auto" || mode === "single" || mode === "nomap") {
    if (rest.length > 0) fail(at, `${mode} takes no options`, `Accepted: ${accepted}`);
    return { mode };
  }
  if (mode !== "keep-id") {
    fail(at, `must be ${accepted}`, didYouMean(mode, ["auto", "single", "keep-id", "nomap"]));
  }
  const ids: { uid?: number; gid?: number } = {};
  for (const setting of rest.length === 0 ? [] : rest.join(":").split(",")) {
    const [key = "", id = ""] = setting.split("=", 2);
    const number = wholeNumber(id, 0, lastId);
    if ((key !== "uid" && key !== "gid") || number === null) {
      fail(at, `${setting || "an empty option"} is not uid=U or gid=G`, `Ids go up to ${lastId}`);
    }
    ids[key] = number;
  }
  return { mode, ...ids };
};

export const readMapping: Reader<Mapping> = (text, at) => {
  const parts = text.split(":");
  const [containerID, hostID] = parts.map((part) => wholeNumber(part, 0, lastId));
  const size = wholeNumber(parts[2] ?? "", 1, lastId + 1);
  if (parts.length !== 3 || containerID == null || hostID == null || size === null) {
    fail(
      at,
      "must be three numbers CONTAINER:HOST:SIZE",
      `Ids go up to ${lastId}, as in 0:100000:65536`,
    );
  }
  return { containerID, hostID, size };
};

const secondsIn = { d: 86_400, h: 3_600, m: 60, s: 1 } as const;

/** `90`, `-1h`, `2h30m`: whole seconds, or null. */
function duration(text: string): number | null {
  const match = /^([-+]?)((?:[0-9]+[dhms])+|[0-9]+)$/.exec(text);
  if (match === null) return null;
  const [, sign = "", amount = ""] = match;
  const seconds = /[dhms]$/.test(amount)
    ? [...amount.matchAll(/([0-9]+)([dhms])/g)].reduce(
        (sum, [, count, unit]) => sum + Number(count) * secondsIn[unit as keyof typeof secondsIn],
        0,
      )
    : Number(amount);
  // A negative zero would be printed as -0.
  return sign === "-" && seconds !== 0 ? -seconds : seconds;
}

/** Seconds for both clocks, or for each clock that is named. */
export const readTimeOffset: Reader<{ monotonic?: number; boottime?: number }> = (text, at) => {
  const accepted = "a number of seconds, a duration such as 3d or 2h30m, or CLOCK=one, CLOCK=one";
  const both = duration(text);
  if (both !== null) return { monotonic: both, boottime: both };
  const offsets: { monotonic?: number; boottime?: number } = {};
  for (const setting of text.split(",")) {
    const [clock = "", amount = ""] = setting.split("=", 2);
    const seconds = duration(amount);
    if (clock !== "monotonic" && clock !== "boottime") {
      fail(
        at,
        `must be ${accepted.replace("CLOCK=one, CLOCK=one", "monotonic=SECS,boottime=SECS")}`,
        didYouMean(clock, ["monotonic", "boottime"]),
      );
    }
    if (seconds === null)
      fail(at, `${JSON.stringify(amount)} is no whole number of seconds or duration such as 3d`);
    offsets[clock] = seconds;
  }
  return offsets;
};

/** A setting `K=V`, or a name whose value the caller's environment has. */
export type Variable = { readonly name: string; readonly value: string | null };

export const readVariable: Reader<Variable> = (text, at) => {
  const equals = text.indexOf("=");
  const name = equals < 0 ? text : text.slice(0, equals);
  if (name === "") fail(at, "must be NAME or NAME=VALUE");
  if (equals < 0 && !/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) {
    fail(at, `${JSON.stringify(name)} is no variable's name`, "Give NAME=VALUE, or NAME alone");
  }
  return { name, value: equals < 0 ? null : text.slice(equals + 1) };
};

/** The words of an entrypoint: one program, or a JSON array. An empty text is none. */
export const readEntrypoint: Reader<string[]> = (text, at) => {
  if (!text.startsWith("[")) return text === "" ? [] : [text];
  let words: unknown;
  try {
    words = JSON.parse(text);
  } catch (error) {
    fail(at, `is no JSON array: ${(error as Error).message}`);
  }
  if (!Array.isArray(words) || !words.every((word) => typeof word === "string")) {
    fail(at, "must be an array of strings", 'As in ["/bin/sh", "-c"]');
  }
  return words;
};

/** Of the name and address of podman-run(1) `--add-host`; colons of the address are its own. */
export const readAddHost: Reader<EtcFiles["addHosts"][number]> = (text, at) => {
  const [, name = "", given = ""] = /^([^:]*):(.*)$/.exec(text) ?? [];
  const address = given.replace(/^\[(.*)\]$/, "$1");
  if (!/^[^\s#]+$/.test(name) || (address !== hostGateway && !isAddress(address))) {
    fail(at, "must be NAME:IP", "As in db:10.0.2.2, db:[fd00::1] or db:host-gateway");
  }
  return { address, name };
};

const readWorkdir: Reader<string> = (text, at) =>
  text.startsWith("/") ? text : fail(at, "must be an absolute path inside the sandbox");

/** Whom it names, the rootfs's user files say later: userns/passwd.ts. */
const readUser: Reader<string> = (text, at) =>
  text === ":"
    ? fail(at, "names no user", "The form is name|uid[:group|gid], as in 1000:100")
    : text;

/** Which reader an option's value has to pass; an option that is not named takes any text. */
const readers: Readonly<Record<string, Reader<unknown>>> = {
  userns: readUserns,
  user: readUser,
  uidmap: readMapping,
  gidmap: readMapping,
  pid: readJoin,
  ipc: readJoin,
  uts: readJoin,
  "time-offset": readTimeOffset,
  "cap-add": readCapabilities,
  "cap-drop": readCapabilities,
  "security-opt": readSecurityOption,
  ulimit: readUlimit,
  sysctl: readSysctl,
  umask: readUmask,
  env: readVariable,
  entrypoint: readEntrypoint,
  workdir: readWorkdir,
  volume: readVolume,
  mount: readMount,
  tmpfs: readTmpfs,
  device: readDevice,
  "oom-score-adj": readOomScoreAdj,
  name: readAlias,
  network: readNetwork,
  publish: readPublish,
  expose: readExpose,
  ip: readIp,
  ip6: readIp6,
  "mac-address": readMac,
  "network-alias": readAlias,
  dns: readServer,
  "dns-search": readResolverWord,
  "dns-option": readResolverWord,
  "add-host": readAddHost,
  "preserve-fds": readPreserveFds,
  "status-fd": readStatusFd,
  "upper-size": readSize,
  restart: readRestart,
  label: readLabel,
  "stop-signal": readSignal,
  "stop-timeout": readStopTimeout,
  "log-opt": readLogOption,
  ...resourceReaders,
};

/** Fails where the option does not take this value; `at` says where it was given. */
export function checkValue(
  name: string,
  text: string,
  at: string,
  table: OptionTable = runOptions,
): void {
  const choices = table[name]?.choices;
  if (choices !== undefined && !choices.includes(text)) {
    fail(at, `must be ${choices.join(" or ")}`, didYouMean(text, choices));
  }
  if (text.includes("\0")) fail(at, "contains a NUL character");
  if (text === "" && name !== "entrypoint") {
    fail(at, "must not be empty", table[name]?.describe);
  }
  readers[name]?.(text, at);
}

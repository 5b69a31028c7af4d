/** From the options of what runs in the background to `sbx.life` and labels. */
import { resolve } from "node:path";
import { fail } from "../spec/error.js";
import type { LifeKeys, LogKeys, RestartPolicy } from "../spec/life.js";
import { didYouMean } from "../spec/nearest.js";
import { signalNumber } from "../spec/signal.js";
import type { Spec } from "../spec/spec.js";
import type { FlagName, Flags } from "./options/run.js";
import { type Reader, wholeNumber } from "./privileges.js";
import { readSize } from "./resource-values.js";
import type { FlagEnvironment } from "./variables.js";

/** Without any option: what a sandbox prints must not fill the disk. */
const defaultLog: LogKeys = { maxSizeBytes: 10 * 1024 * 1024, maxFiles: 3 };

/** What has no meaning where somebody waits for the command. */
const forKept = [
  "restart",
  "stop-signal",
  "stop-timeout",
  "cidfile",
  "pidfile",
  "log-driver",
  "log-opt",
] as const satisfies FlagName[];
/** What is only there while the caller is. */
const forForeground = ["preserve-fds", "status-fd"] as const satisfies FlagName[];

/** Fails on options that are not for a sandbox of this kind. */
export function refuseOtherLife(flags: Flags, isKept: boolean): void {
  const wrong = (isKept ? forForeground : forKept).find((name) => flags[name] !== undefined);
  if (wrong !== undefined && isKept) {
    fail(`--${wrong}`, "is for a sandbox in the foreground", "Leave it out");
  }
  if (wrong !== undefined) {
    fail(`--${wrong}`, "is for a sandbox in the background", "Give --detach, or use sbx create");
  }
  if (isKept && flags["upper-size"] !== undefined && flags.rm !== true) {
    fail(
      "--upper-size",
      "bounds throw-away writes, and those of this sandbox are kept",
      "Give --rm as well",
    );
  }
}

export const readRestart: Reader<RestartPolicy> = (text, at) => {
  const [, name = "", count] = /^([^:]*)(?::(.*))?$/s.exec(text) ?? [];
  if (name === "unless-stopped") {
    fail(at, "is not told apart from always here", "Give always: after sbx stop nothing starts it");
  }
  if (name !== "no" && name !== "on-failure" && name !== "always") {
    const hint = didYouMean(name, ["no", "on-failure", "always"]);
    fail(at, "must be no, on-failure[:TIMES] or always", hint);
  }
  if (count === undefined) return { name };
  const maximumRetryCount = wholeNumber(count, 1, 2 ** 31 - 1);
  if (name !== "on-failure") fail(at, `${name} takes no number`, "on-failure:TIMES does");
  if (maximumRetryCount === null) fail(at, "TIMES must be a whole number above zero");
  return { name, maximumRetryCount };
};

/** Without SIG. */
export const readSignal: Reader<string> = (text, at) =>
  signalNumber(text) === null
    ? fail(at, "is no signal", "Give its name, as TERM, or its number")
    : text.toUpperCase().replace(/^SIG/, "");

export const readStopTimeout: Reader<number> = (text, at) =>
  wholeNumber(text, -1, 2 ** 31 - 1) ?? fail(at, "must be a number of seconds, or -1 for no end");

export const readLabel: Reader<[string, string]> = (text, at) => {
  const [, key = "", value = ""] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? [];
  return key === "" ? fail(at, "must be KEY=VALUE") : [key, value];
};

export const readLogOption: Reader<Partial<LogKeys>> = (text, at) => {
  const settings = text.split(",").map((setting): Partial<LogKeys> => {
    const [, name, value = ""] = /^(max-size|max-file)=(.*)$/s.exec(setting) ?? [];
    if (name === undefined) fail(at, "must be max-size=BYTES or max-file=NUMBER");
    if (name === "max-size") {
      const maxSizeBytes = readSize(value, at);
      return maxSizeBytes >= 4096 ? { maxSizeBytes } : fail(at, "must be 4k or more");
    }
    const maxFiles = wholeNumber(value, 1, 100);
    return maxFiles === null ? fail(at, "max-file must be a number from 1 to 100") : { maxFiles };
  });
  return Object.assign({}, ...settings);
};

/** Of `--label-file`s, then of `--label`s: the last one counts. */
export function readLabels(
  flags: Flags,
  { readFile }: Pick<FlagEnvironment, "readFile">,
): Record<string, string> | undefined {
  const fromFiles = (flags["label-file"] ?? []).flatMap((path) => {
    const at = `--label-file ${path}`;
    const text = readFile(path, at) ?? fail(at, "No such file or directory (ENOENT)");
    return text.split("\n").flatMap((line, index) => {
      const isNone = line.trim() === "" || line.startsWith("#");
      return isNone ? [] : [readLabel(line.trimEnd(), `${path}:${index + 1}`)];
    });
  });
  const given = (flags.label ?? []).map((text) => readLabel(text, `--label ${text}`));
  const labels = [...fromFiles, ...given];
  return labels.length === 0 ? undefined : Object.fromEntries(labels);
}

/** The keys for a sandbox that is kept in `place`; paths of the options are the caller's. */
export function readLife(flags: Flags, place: Pick<LifeKeys, "id" | "directory">): LifeKeys {
  const { restart, "stop-signal": signal, "stop-timeout": timeout, pidfile } = flags;
  const log = (flags["log-opt"] ?? []).map((text) => readLogOption(text, `--log-opt ${text}`));
  return {
    ...place,
    stdin: flags.interactive === true,
    restart: restart === undefined ? { name: "no" } : readRestart(restart, `--restart ${restart}`),
    ...(signal !== undefined && { stopSignal: readSignal(signal, `--stop-signal ${signal}`) }),
    ...(timeout !== undefined && {
      stopTimeoutSeconds: readStopTimeout(timeout, `--stop-timeout ${timeout}`),
    }),
    log: flags["log-driver"] === "none" ? null : Object.assign({}, defaultLog, ...log),
    ...(pidfile !== undefined && { pidFile: resolve(pidfile) }),
    removeAtEnd: flags.rm === true,
  };
}

/**
 * The spec for one that is kept. It must mean the same whenever and from wherever it is started: paths
 * are whole, and the caller's variables are those of now.
 */
export function keptSpec(
  spec: Spec,
  flags: Flags,
  {
    name,
    environment,
    ...place
  }: Pick<LifeKeys, "id" | "directory"> & {
    readonly name: string;
    readonly environment: NodeJS.ProcessEnv;
  },
): Spec {
  const { process, root, sbx } = spec;
  const { inheritEnv, inheritAllEnv, lowers, upper, writes } = sbx;
  const isKept = writes === "throw-away" && root.readonly !== true && flags.rm !== true;
  const names = inheritAllEnv ? Object.keys(environment) : inheritEnv;
  const set = new Set(process.env.map((setting) => setting.split("=", 1)[0]));
  const inherited = names.flatMap((each) =>
    environment[each] === undefined || set.has(each) ? [] : [`${each}=${environment[each]}`],
  );
  return {
    ...spec,
    // There is no terminal that it could be like.
    process: { ...process, terminal: flags.tty === true, env: [...process.env, ...inherited] },
    root: { ...root, path: resolve(root.path) },
    sbx: {
      ...sbx,
      name,
      life: readLife(flags, place),
      inheritEnv: [],
      inheritAllEnv: false,
      ...(lowers && { lowers: lowers.map((each) => resolve(each)) }),
      ...(upper !== undefined && { upper: resolve(upper) }),
      ...(isKept && { writes: "upper", upper: `${place.directory}/upper` }),
    },
  };
}

/** Values of the options for privileges, limits and numbers, read into what the spec holds. Pure. */
import { capabilityNames } from "../spec/capabilities.js";
import { fail } from "../spec/error.js";
import { maskRefusal } from "../spec/masked.js";
import { didYouMean, nearest } from "../spec/nearest.js";
import { type Rlimit, type RlimitName, rlimitNames } from "../spec/spec.js";

/** Reads a value or fails; `at` names what it belongs to, such as `--umask 9`. */
export type Reader<T> = (text: string, at: string) => T;

/**
 * A whole number written in decimal digits, after a minus sign where it may be negative; anything
 * else, +5, 1e3 and 0x10 too, is refused.
 */
export function wholeNumber(text: string, least: number, most: number): number | null {
  if (!(least < 0 ? /^-?[0-9]+$/ : /^[0-9]+$/).test(text)) return null;
  const number = Number(text);
  return number >= least && number <= most ? number : null;
}

function numberFrom(least: number, most: number): Reader<number> {
  return (text, at) =>
    wholeNumber(text, least, most) ?? fail(at, `must be a whole number from ${least} to ${most}`);
}

export const readOomScoreAdj = numberFrom(-1000, 1000);
export const readPreserveFds = numberFrom(0, 65_536);
export const readStatusFd = numberFrom(3, 2 ** 31 - 1);

/** Full names, or `ALL`, of a comma list in any case and with or without `CAP_`. */
export const readCapabilities: Reader<string[]> = (text, at) =>
  text.split(",").map((word) => {
    const upper = word.trim().toUpperCase();
    if (upper === "ALL") return upper;
    const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
    if ((capabilityNames as readonly string[]).includes(name)) return name;
    const near = nearest(name, capabilityNames);
    return fail(
      at,
      `${JSON.stringify(word)} is no capability`,
      near === null ? "capabilities(7) lists them" : `Did you mean ${near}?`,
    );
  });

export type SecurityOption =
  | { readonly kind: "no-new-privileges"; readonly on: boolean }
  | { readonly kind: "seccomp"; readonly profile: string }
  | { readonly kind: "terminal-injection"; readonly on: boolean }
  | { readonly kind: "mask"; readonly paths: string[] }
  | { readonly kind: "unmask"; readonly paths: string[] | "ALL" };

export const readSecurityOption: Reader<SecurityOption> = (text, at) => {
  const [, key = "", setting] = /^([^=:]*)(?:[=:]([\s\S]*))?$/.exec(text) ?? [];
  const paths = (what: string) => {
    const given = (setting ?? "").split(":");
    const wrong = given.find((path) => !path.startsWith("/"));
    if (wrong !== undefined) {
      fail(at, `${JSON.stringify(wrong)} is no absolute path`, `The form is ${what}=/path:/path`);
    }
    return given;
  };
  switch (key) {
    case "no-new-privileges":
    case "terminal-injection":
      if (setting === undefined || setting === "true") return { kind: key, on: true };
      if (setting === "false") return { kind: key, on: false };
      return fail(at, `${key} takes true or false`);
    case "seccomp":
      if (setting) return { kind: key, profile: setting };
      return fail(at, "seccomp takes a profile's FILE, default or unconfined");
    case "mask":
      return { kind: key, paths: paths(key).map((path) => requireMaskable(path, at)) };
    case "unmask":
      return { kind: key, paths: setting === "ALL" ? setting : paths(key) };
    default:
      return fail(
        at,
        "must be no-new-privileges[=true|false], seccomp=FILE|default|unconfined, terminal-injection[=true|false], mask=PATH[:PATH] or unmask=ALL|PATH[:PATH]",
        didYouMean(key, ["no-new-privileges", "seccomp", "terminal-injection", "mask", "unmask"]),
      );
  }
};

function requireMaskable(path: string, at: string): string {
  const refusal = maskRefusal(path);
  return refusal === null ? path : fail(at, refusal);
}

/** `nofile` for `RLIMIT_NOFILE`, as docker and ulimit(1) users know them. */
const ulimitNames: ReadonlyMap<string, RlimitName> = new Map(
  rlimitNames.map((name) => [name.slice("RLIMIT_".length).toLowerCase(), name]),
);

export const readUlimit: Reader<Rlimit> = (text, at) => {
  const [, name = "", limits = ""] = /^([^=]*)=?(.*)$/s.exec(text) ?? [];
  const type = ulimitNames.get(name.toLowerCase().replace(/^rlimit_/, ""));
  if (type === undefined) {
    const known = [...ulimitNames.keys()];
    fail(
      at,
      `${JSON.stringify(name)} is no limit`,
      didYouMean(name, known) ?? `Known are ${known.join(", ")}`,
    );
  }
  const [soft = null, hard = soft, ...rest] = limits
    .split(":")
    .map((word) =>
      word === "-1" || word === "unlimited" ? word : wholeNumber(word, 0, Number.MAX_SAFE_INTEGER),
    );
  if (soft === null || hard === null || rest.length > 0) {
    fail(at, "must be TYPE=SOFT[:HARD]", "A limit is a whole number, -1 or unlimited");
  }
  const value = (limit: number | string) => (typeof limit === "number" ? limit : "unlimited");
  const limit = { type, soft: value(soft), hard: value(hard) } as const;
  if (limit.hard !== "unlimited" && (limit.soft === "unlimited" || limit.soft > limit.hard)) {
    fail(at, `the soft limit ${limit.soft} is above the hard limit ${limit.hard}`);
  }
  return limit;
};

export const readSysctl: Reader<[string, string]> = (text, at) => {
  const equals = text.indexOf("=");
  if (equals < 1) fail(at, "must be NAME=VALUE", "As in net.ipv4.ip_forward=1");
  const [name, setting] = [text.slice(0, equals).trim(), text.slice(equals + 1)];
  if (setting.trim() === "") fail(at, "the value is empty", "The form is NAME=VALUE");
  const option = /^kernel[./](hostname|domainname)$/.exec(name)?.[1];
  if (option !== undefined) fail(at, "has an option of its own", `Use --${option}=${setting}`);
  return [name, setting];
};

export const readUmask: Reader<number> = (text, at) => {
  if (!/^0?[0-7]{1,3}$/.test(text)) fail(at, "must be an octal number from 0 to 0777");
  return Number.parseInt(text, 8);
};

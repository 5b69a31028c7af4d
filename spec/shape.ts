/**
 * Checks of a value's shape, put together from small ones. A check gives back the value it
 * accepts, or reports what is wrong and gives back undefined, so that one pass finds everything.
 */
import { didYouMean } from "./nearest.js";

/** Told of everything that is wrong: where, such as `linux.uidMappings[1].size`, why, and a way out. */
export type Report = (at: string, why: string, hint?: string) => void;

export type Check<T> = (value: unknown, at: string, report: Report) => T | undefined;

/** A value as an error shows it, cut where it is long. Of numbers that JSON knows, bigint too. */
export function shown(value: unknown): string {
  const text =
    JSON.stringify(value, (_, each) => (typeof each === "bigint" ? Number(each) : each)) ??
    String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** A string without NUL, which would end it early for the kernel. */
export const text: Check<string> = (value, at, report) => {
  if (typeof value !== "string") report(at, `must be a string, not ${shown(value)}`);
  else if (value.includes("\0")) report(at, "must not contain a NUL character");
  else return value;
  return undefined;
};

/** A string that fulfils one more condition, given as what it must be. */
export function textThat(must: string, holds: (value: string) => boolean): Check<string> {
  return (value, at, report) => {
    const word = text(value, at, report);
    if (word === undefined || holds(word)) return word;
    report(at, `must ${must}, not ${shown(word)}`);
    return undefined;
  };
}

export const nonEmptyText: Check<string> = textThat("not be empty", (word) => word !== "");

export const yesOrNo: Check<boolean> = (value, at, report) => {
  if (typeof value === "boolean") return value;
  report(at, `must be true or false, not ${shown(value)}`);
  return undefined;
};

/** A whole number from `least` to `most`, both included. */
export function whole(least: number, most: number): Check<number> {
  return (value, at, report) => {
    if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) {
      return value as number;
    }
    report(at, `must be a whole number from ${least} to ${most}, not ${shown(value)}`);
    return undefined;
  };
}

/** One of a few words. */
export function oneOf<T extends string>(...words: readonly T[]): Check<T> {
  return (value, at, report) => {
    if (words.includes(value as T)) return value as T;
    const hint = typeof value === "string" ? didYouMean(value, words) : undefined;
    report(at, `must be one of ${words.join(", ")}, not ${shown(value)}`, hint);
    return undefined;
  };
}

/** Either what the first check accepts, or else exactly this word. */
export function orWord<T, W extends string>(check: Check<T>, word: W): Check<T | W> {
  return (value, at, report) => (value === word ? word : check(value, at, report));
}

/** Either what the check accepts, or null. */
export function orNull<T>(check: Check<T>): Check<T | null> {
  return (value, at, report) => (value === null ? null : check(value, at, report));
}

/** An array; undefined as a whole where one of its items is wrong. */
export function list<T>(item: Check<T>, least = 0): Check<T[]> {
  return (value, at, report) => {
    if (!Array.isArray(value)) {
      report(at, `must be an array, not ${shown(value)}`);
      return undefined;
    }
    if (value.length < least) report(at, `must have at least ${least} item${least > 1 ? "s" : ""}`);
    let wrong = false;
    const items = value.map((each, index) =>
      item(each, `${at}[${index}]`, (...problem) => {
        wrong = true;
        report(...problem);
      }),
    );
    return wrong ? undefined : (items as T[]);
  };
}

/** An object with keys of any name, `key` being told each name at its own path. */
export function record<T>(key: Check<string>, item: Check<T>): Check<Record<string, T>> {
  return (value, at, report) => {
    if (!isObject(value)) {
      report(at, `must be an object, not ${shown(value)}`);
      return undefined;
    }
    const entries: [string, T][] = [];
    for (const [name, each] of Object.entries(value)) {
      const path = `${at}[${JSON.stringify(name)}]`;
      const checked = item(each, path, report);
      if (key(name, path, report) !== undefined && checked !== undefined) {
        entries.push([name, checked]);
      }
    }
    return Object.fromEntries(entries);
  };
}

type Shape<T> = {
  readonly [K in keyof T]-?: undefined extends T[K]
    ? { readonly optional: Check<Exclude<T[K], undefined>> }
    : Check<T[K]>;
};

/** Marks a key of `object` that may be left out. */
export function optional<T>(check: Check<T>): { readonly optional: Check<T> } {
  return { optional: check };
}

/** An object with exactly these keys. A key with a wrong value is left out of what is given back. */
export function object<T extends object>(shape: Shape<T>): Check<T> {
  const checks = shape as Record<string, Check<unknown> | { optional: Check<unknown> }>;
  return (value, at, report) => {
    if (!isObject(value)) {
      report(at, `must be an object, not ${shown(value)}`);
      return undefined;
    }
    const under = (key: string) => (at === "" ? key : `${at}.${key}`);
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(checks, key)) {
        report(under(key), "no such key", didYouMean(key, Object.keys(checks)));
      }
    }
    const result: Record<string, unknown> = {};
    for (const [key, entry] of Object.entries(checks)) {
      const given = value[key];
      if (given === undefined) {
        if (typeof entry === "function") report(under(key), "is missing");
        continue;
      }
      const check = typeof entry === "function" ? entry : entry.optional;
      const checked = check(given, under(key), report);
      if (checked !== undefined) result[key] = checked;
    }
    return result as T;
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Times that a command is given: `--since`, `--until`. */
import { fail } from "../spec/error.js";

const nanoseconds = { h: 3_600e9, m: 60e9, s: 1e9, ms: 1e6, us: 1e3, µs: 1e3, ns: 1 } as const;
const part = "(\\d+(?:\\.\\d+)?)(h|ms|m|s|us|µs|ns)";
const duration = new RegExp(`^(?:${part})+$`);
const date = /^\d{4}-\d\d-\d\d(?:T\d\d(?::\d\d(?::\d\d(\.\d{1,9})?)?)?)?(Z|[+-]\d\d:\d\d)?$/;
/** The last nanosecond of the year 9999. */
const latest = 253_402_300_800n * 1_000_000_000n - 1n;

/**
 * A point in time as docker-logs(1) takes it: a date of RFC 3339, whose later parts may be missing and
 * which is local where it names no zone; seconds since 1970; or how long ago, as 1h30m. Gives RFC 3339 in UTC
 * with nine digits of a second, so that such times compare as texts. `option` is named where it is none.
 */
export function readTime(option: string, text: string, nowMs: number): string {
  const time = nanosecondsOf(text, nowMs);
  if (time === null || time < 0n || time > latest) {
    fail(
      `${option} ${text}`,
      "is no time",
      "Give 2026-11-21T20:15:00Z, seconds since 1970, or how long ago, as 90s or 1h30m",
    );
  }
  const seconds = new Date(Number(time / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${`${time % 1_000_000_000n}`.padStart(9, "0")}Z`;
}

function nanosecondsOf(text: string, nowMs: number): bigint | null {
  const [, seconds, rest] = /^(\d{1,12})(\.\d{1,9})?$/.exec(text) ?? [];
  if (seconds !== undefined) return BigInt(seconds) * 1_000_000_000n + fraction(rest);
  if (duration.test(text)) {
    const ago = [...text.matchAll(new RegExp(part, "g"))].reduce(
      (sum, [, number, unit]) =>
        sum + Number(number) * nanoseconds[unit as keyof typeof nanoseconds],
      0,
    );
    return BigInt(nowMs) * 1_000_000n - BigInt(Math.round(ago));
  }
  const match = date.exec(text);
  if (match === null) return null;
  const [, second, zone = ""] = match;
  const clock = text.slice(0, text.length - zone.length).replace(/\.\d+$/, "");
  const ms = Date.parse(`${clock}${"T00:00:00".slice(clock.length - 10)}${zone}`);
  return Number.isNaN(ms) ? null : BigInt(ms) * 1_000_000n + fraction(second);
}

const fraction = (digits = ".") => BigInt(digits.slice(1).padEnd(9, "0"));

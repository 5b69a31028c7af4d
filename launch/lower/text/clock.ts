/** The time of day in words: RFC 3339 in UTC with nanoseconds, as logs have it. */
import { at, slot } from "../../machine/builder.js";
import { k } from "../../machine/constants.js";
import type { Address, Value } from "../../machine/ir.js";
import type { Context } from "../context.js";
import { compose } from "./text.js";

/** Bytes of `2026-11-21T19:47:00.123456789Z`. */
export const stampSize = 30;

const seconds = slot("clockSeconds");
const day = slot("clockDay");
/** The one whose date is written. */
const known = slot("stampedDay");
const year = slot("clockYear");
const month = slot("clockMonth");
const left = slot("clockLeft");
const length = slot("clockLength");
const leap = slot("clockLeap");
const number = slot("clockNumber");
const place = slot("clockPlace");
const first = slot("clockFirst");
const digit = slot("clockDigit");

/** Before the first `clock.stamp`; writes one byte more. */
export function clockState(c: Context, stamp: Address): void {
  const { b } = c;
  b.set(known, -1);
  compose(c, [b.text("0000-00-00T00:00:00.000000000Z")], stamp);
}

/**
 * The subroutines `clock.stamp`, which leaves the time in those `stampSize` bytes, and `clock.write`, the same
 * for the struct timespec in `scratch`.
 */
export function clockSubroutine({ b, memory }: Context, stamp: Address): void {
  const put = (value: Value, from: number, count: number) => {
    b.set(number, value);
    b.set(first, at(stamp, from));
    b.set(place, at(stamp, from + count));
    b.call("clock.digits");
  };
  b.comment("the time of day");
  b.label("clock.stamp");
  b.ignore("a clock can be read", "clock_gettime", [k("CLOCK_REALTIME"), memory.scratch]);
  b.label("clock.write");
  b.load(8, seconds, memory.scratch);
  b.load(8, number, memory.scratch, 8);
  put(number, 20, 9);
  b.alu("div", day, seconds, 86400);
  b.alu("rem", seconds, seconds, 86400);
  b.branch(day, "eq", known, "clock.time");
  b.set(known, day);
  b.set(left, day);
  b.set(year, 1970);
  b.label("clock.year");
  findLeap(b);
  b.alu("add", length, leap, 365);
  b.branch(left, "lt", length, "clock.months");
  b.alu("sub", left, left, length);
  b.alu("add", year, year, 1);
  b.jump("clock.year");
  b.label("clock.months");
  b.set(month, 0);
  b.label("clock.month");
  const lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  b.alu("shl", length, month, 3);
  b.alu("add", length, length, b.words("monthLengths", lengths, false));
  b.load(8, length, length);
  const other = b.fresh("clock");
  b.branch(month, "ne", 1, other);
  b.alu("add", length, length, leap);
  b.label(other);
  b.alu("add", month, month, 1);
  b.branch(left, "lt", length, "clock.date");
  b.alu("sub", left, left, length);
  b.jump("clock.month");
  b.label("clock.date");
  put(year, 0, 4);
  put(month, 5, 2);
  b.alu("add", left, left, 1);
  put(left, 8, 2);
  b.label("clock.time");
  b.alu("div", left, seconds, 3600);
  put(left, 11, 2);
  b.alu("rem", seconds, seconds, 3600);
  b.alu("div", left, seconds, 60);
  put(left, 14, 2);
  b.alu("rem", left, seconds, 60);
  put(left, 17, 2);
  b.return();

  b.comment("clockNumber in decimal, from clockFirst to before clockPlace");
  b.label("clock.digits");
  b.alu("rem", digit, number, 10);
  b.alu("add", digit, digit, "0".charCodeAt(0));
  b.alu("sub", place, place, 1);
  b.store(1, place, 0, digit);
  b.alu("div", number, number, 10);
  b.branch(place, "gt", first, "clock.digits");
  b.return();
}

/** `leap` := 1 where the year has 366 days. */
function findLeap(b: Context["b"]): void {
  const [yes, end] = [b.fresh("leap"), b.fresh("leap")];
  b.set(leap, 0);
  b.alu("rem", number, year, 4);
  b.branch(number, "ne", 0, end);
  b.alu("rem", number, year, 100);
  b.branch(number, "ne", 0, yes);
  b.alu("rem", number, year, 400);
  b.branch(number, "ne", 0, end);
  b.label(yes);
  b.set(leap, 1);
  b.label(end);
}

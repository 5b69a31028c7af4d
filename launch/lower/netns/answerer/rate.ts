/**
 * A client that asks without end is not listened to for the rest of a quarter of a second, at the cost
 * of one recvmsg(2) a query, which is more than it can send. Clients are counted by bridge and by the
 * end of their address, so that who invents addresses of its network does not drown all the others.
 */
import { slot } from "../../../machine/builder.js";
import { type Answerer, d, limits, verdicts } from "./memory.js";

/** Counters for each value of the low bits of the bridge's number, and of the address. */
const bits = 3;
const counters = 1 << (2 * bits);
export const countersSize = 8 * counters;

const window = slot("rateWindow");
const other = slot("rateOther");
const counter = slot("rateCounter");
const count = slot("rateCount");

export function rateState({ b }: Answerer): void {
  b.set(window, -1);
}

/** `rate.check`: `d.verdict` is `drop` where the client has asked too much. */
export function rateSubroutine({ b, m }: Answerer): void {
  b.label("rate.check");
  b.alu("shr", other, d.now, limits.windowShift);
  b.branch(other, "eq", window, "rate.count");
  b.set(window, other);
  b.set(counter, m.counts);
  b.label("rate.clear");
  b.store(8, counter, 0, 0);
  b.alu("add", counter, counter, 8);
  b.branch(counter, "lt", { ...m.counts, offset: countersSize }, "rate.clear");
  b.label("rate.count");
  b.alu("and", counter, d.bridge, (1 << bits) - 1);
  b.alu("shl", counter, counter, bits);
  b.load(1, other, m.client, 15);
  b.alu("and", other, other, (1 << bits) - 1);
  b.alu("or", counter, counter, other);
  b.alu("shl", counter, counter, 3);
  b.alu("add", counter, counter, m.counts);
  b.load(8, count, counter);
  b.alu("add", count, count, 1);
  b.store(8, counter, 0, count);
  b.set(d.verdict, verdicts.drop);
  b.branch(count, "gt", limits.perWindow, "rate.end");
  b.set(d.verdict, verdicts.forward);
  b.label("rate.end");
  b.return();
}

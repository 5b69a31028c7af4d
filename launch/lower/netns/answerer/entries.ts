/**
 * The table of what takes time: queries at an upstream, and clients on TCP. It has room for all, or the
 * one that was not used for longest makes room; but a client that has its share makes room for itself.
 */
import { at, slot } from "../../../machine/builder.js";
import { k } from "../../../machine/constants.js";
import type { Slot } from "../../../machine/ir.js";
import { requireSameAddress } from "./address.js";
import { type Answerer, copyWords, d, entry, limits, polls, states } from "./memory.js";

const serial = slot("entrySerial");
const own = slot("ownEntries");
const ownOldest = slot("ownOldest");
const ownSerial = slot("ownSerial");
const oldest = slot("oldestEntry");
const oldestSerial = slot("oldestSerial");
const value = slot("entryValue");
const fd = slot("entryFd");
const poll = slot("entryPoll");

/** Bytes of the table, and of the array of struct pollfd. */
export const entriesSize = limits.entries * entry.size;
export const pollSize = polls.entries + limits.entries * 16;
/** Of the two struct pollfd of an entry. */
export const ends = { client: 0, upstream: 8 } as const;

/** `to` becomes what the entry at hand has there. */
export function get({ b }: Answerer, to: Slot, field: number): void {
  b.load(8, to, d.entry, field);
}

/** Goes over all entries; the body leaves `d.entry` as it is. */
export function eachEntry({ b, m }: Answerer, body: () => void): void {
  const next = b.fresh("entry");
  b.set(d.entry, m.entries);
  b.label(next);
  body();
  b.alu("add", d.entry, d.entry, entry.size);
  b.branch(d.entry, "lt", at(m.entries, entriesSize), next);
}

/** All are free, as zeroed memory is, which takes no room until it is written to. */
export function entriesState({ b, m }: Answerer): void {
  const next = b.fresh("poll");
  b.set(serial, 0);
  b.set(poll, at(m.poll, polls.entries));
  b.label(next);
  // struct pollfd: the fd in four bytes, what is waited for in two, what has happened in two.
  b.store(8, poll, 0, 0xffffffff);
  b.alu("add", poll, poll, 8);
  b.branch(poll, "lt", at(m.poll, pollSize), next);
}

/** Puts a fd there; nothing has happened to it. */
export function setFd(a: Answerer, end: keyof typeof ends, to: Slot | number): void {
  get(a, poll, entry.poll);
  a.b.store(4, poll, ends[end], to);
  a.b.store(4, poll, ends[end] + 4, 0);
}

export function getFd(a: Answerer, end: keyof typeof ends, to: Slot): void {
  const { b } = a;
  get(a, poll, entry.poll);
  b.load(4, to, poll, ends[end]);
}

/** The entry waits for this, at one of its ends. */
export function setState(a: Answerer, state: keyof typeof states): void {
  const { b } = a;
  const wanted = {
    free: ["0", "0"],
    reading: ["POLLIN", "0"],
    connecting: ["0", "POLLOUT"],
    waiting: ["0", "POLLIN"],
    blocked: ["POLLOUT", "0"],
  } as const;
  b.store(8, d.entry, entry.state, states[state]);
  get(a, poll, entry.poll);
  const [client, upstream] = wanted[state].map((name) => (name === "0" ? 0 : k(name)));
  b.store(4, poll, ends.client + 4, client ?? 0);
  b.store(4, poll, ends.upstream + 4, upstream ?? 0);
}

/** Closes an end of the entry, if it is open. */
export function closeEnd(a: Answerer, end: keyof typeof ends): void {
  const { b } = a;
  const closed = b.fresh("closed");
  getFd(a, end, fd);
  b.branch(fd, "eq", 0xffffffff, closed);
  b.ignore("it is ours", "close", [fd]);
  setFd(a, end, -1);
  b.label(closed);
}

/**
 * `entry.take`: gives an entry in `d.entry` to the client at `m.client` on `d.bridge`; `entry.end`:
 * frees the one at hand.
 */
export function entrySubroutines(a: Answerer): void {
  const { b, m } = a;
  b.label("entry.take");
  b.set(own, 0);
  b.set(oldest, 0);
  b.set(ownOldest, 0);
  b.alu("add", serial, serial, 1);
  b.set(oldestSerial, serial);
  b.set(ownSerial, serial);
  eachEntry(a, () => {
    const used = b.fresh("take");
    const other = b.fresh("take");
    const next = b.fresh("take");
    get(a, value, entry.state);
    b.branch(value, "ne", states.free, used);
    b.set(oldest, d.entry);
    b.set(oldestSerial, -1);
    b.jump(next);
    b.label(used);
    get(a, value, entry.bridge);
    b.branch(value, "ne", d.bridge, other);
    requireSameAddress(a, d.entry, entry.client, m.client, other);
    b.alu("add", own, own, 1);
    get(a, value, entry.serial);
    b.branch(value, "ge", ownSerial, other);
    b.set(ownSerial, value);
    b.set(ownOldest, d.entry);
    b.label(other);
    get(a, value, entry.serial);
    b.branch(value, "ge", oldestSerial, next);
    b.set(oldestSerial, value);
    b.set(oldest, d.entry);
    b.label(next);
  });
  b.set(d.entry, oldest);
  b.branch(own, "lt", limits.share, "entry.take.made");
  b.set(d.entry, ownOldest);
  b.label("entry.take.made");
  b.alu("sub", value, d.entry, m.entries);
  b.alu("div", value, value, entry.size);
  b.alu("shl", value, value, 4);
  b.alu("add", value, value, at(m.poll, polls.entries));
  b.store(8, d.entry, entry.poll, value);
  b.call("entry.end");
  b.store(8, d.entry, entry.serial, serial);
  b.store(8, d.entry, entry.bridge, d.bridge);
  copyWords(b, at0(entry.client), m.client, 16);
  b.return();

  b.label("entry.end");
  closeEnd(a, "client");
  closeEnd(a, "upstream");
  setState(a, "free");
  b.return();

  function at0(offset: number): Slot {
    b.alu("add", value, d.entry, offset);
    return value;
  }
}

/** A process's array of struct pollfd, see poll(2): int fd, short events, short revents. */
import { slot } from "../machine/builder.js";
import type { Constant, Slot } from "../machine/ir.js";
import { actionOf, type Context } from "./context.js";
import { lifeOf } from "./life/life.js";

const always = ["signal", "control", "owners", "uplink", "holder"] as const;
/** What there is besides where bytes are relayed to the caller's terminal, and in the background. */
const relayed = ["stdin", "pty", "stdout"] as const;
export const clientPlaces = ["client0", "client1", "client2", "client3"] as const;
const background = ["out", "err", "attach", "input", ...clientPlaces] as const;
export type Place =
  | (typeof always)[number]
  | "entered"
  | "reader"
  | (typeof relayed)[number]
  | (typeof background)[number];

/** What `happened` has found, a mask of POLLIN and so on; 0 where nothing has. */
export const events = slot("events");

export interface PollTable<P extends string = Place> {
  /** A negative fd waits for nothing. */
  watch(place: P, fd: Slot | Constant, wanted: Slot | Constant): void;
  happened(place: P): void;
  /** `timeout` is the address of a timespec, or 0; `count` gets how many have something, 0 after the timeout. */
  wait(timeout: Slot, count: Slot): void;
}

export function monitorPollTable(c: Context): PollTable {
  return pollTable<Place>(c, [
    ...always,
    ...(actionOf(c, "openSandbox") === undefined ? [] : (["entered"] as const)),
    ...(c.plan.endsWithReader ? (["reader"] as const) : []),
    ...(c.relays ? relayed : []),
    ...(lifeOf(c) === undefined ? [] : background),
    ...(lifeOf(c) !== undefined && c.terminal ? (["pty"] as const) : []),
  ]);
}

export function pollTable<P extends string>({ b }: Context, places: readonly P[]): PollTable<P> {
  const size = 8;
  const table = b.buffer("poll", size * places.length);
  const offsetOf = (place: P) => size * places.indexOf(place);
  return {
    watch(place, fd, wanted) {
      b.store(4, table, offsetOf(place), fd);
      b.store(4, table, offsetOf(place) + 4, wanted);
    },
    happened(place) {
      b.load(4, events, table, offsetOf(place) + 4);
      b.alu("shr", events, events, 16);
    },
    wait(timeout, count) {
      const because = "all signals are blocked, so nothing interrupts it";
      b.ignore(because, "ppoll", [table, places.length, timeout, 0, 8], count);
    },
  };
}

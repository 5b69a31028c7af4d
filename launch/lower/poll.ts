/** The monitor's array of struct pollfd, see poll(2): int fd, short events, short revents. */
import { slot } from "../builder.js";
import type { Constant, Slot } from "../ir.js";
import type { Context } from "./context.js";

const places = {
  signal: 0,
  control: 1,
  owners: 2,
  uplink: 3,
  holder: 4,
  stdin: 5,
  pty: 6,
  stdout: 7,
} as const;
export type Place = keyof typeof places;

/** What `happened` has found, a mask of POLLIN and so on; 0 where nothing has. */
export const events = slot("events");

export interface PollTable {
  /** A negative fd waits for nothing. */
  watch(place: Place, fd: Slot, wanted: Slot | Constant): void;
  happened(place: Place): void;
  /** Waits for the first `count` places; `timeout` is the address of a timespec, or 0. */
  wait(count: number, timeout: Slot): void;
}

export function pollTable({ b }: Context): PollTable {
  const size = 8;
  const table = b.buffer("poll", size * Object.keys(places).length);
  return {
    watch(place, fd, wanted) {
      b.store(4, table, size * places[place], fd);
      b.store(4, table, size * places[place] + 4, wanted);
    },
    happened(place) {
      b.load(4, events, table, size * places[place] + 4);
      b.alu("shr", events, events, 16);
    },
    wait(count, timeout) {
      b.ignore("all signals are blocked, so nothing interrupts it", "ppoll", [
        table,
        count,
        timeout,
        0,
        8,
      ]);
    },
  };
}

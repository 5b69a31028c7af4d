/**
 * Who is attached to a sandbox in the background. The monitor listens on a socket in the sandbox's directory,
 * which is the caller's alone: messages.ts.
 *
 * A chunk of output goes to all clients before the next one is read: a client that does not take it holds the
 * payload, as a pipe would. It does not hold the log. What comes from clients is written before more is read.
 */
import { k } from "../../../machine/constants.js";
import type { Context } from "../../context.js";
import { events, type PollTable } from "../../poll.js";
import { chunk } from "../chunk.js";
import { lifeOf } from "../life.js";
import { broadcastSubroutines } from "./broadcast.js";
import { inputSubroutines } from "./input.js";
import { acceptSubroutine } from "./listen.js";
import {
  clientMemory,
  cursor,
  entries,
  fd,
  hasSize,
  input,
  isBehind,
  isHeld,
  listener,
  patience,
  wanted,
  watched,
} from "./table.js";

/** Seconds that all of them have for what they have not taken when the sandbox ends. */
const patienceSeconds = 10;

/** Before each run. */
export function clientsState(c: Context): void {
  if (lifeOf(c) === undefined) return;
  const { b } = c;
  for (const flag of [isHeld, hasSize, input.start, input.length, chunk.length]) b.set(flag, 0);
  b.set(listener, -1);
  b.store(8, patience, 0, patienceSeconds);
  b.store(8, patience, 8, 0);
  for (const { entry } of entries) {
    b.store(8, entry, 0, -1);
    b.store(8, entry, 8, 0);
  }
}

/** Comes before `watchOutput`. */
export function watchClients({ b }: Context, poll: PollTable): void {
  b.set(isHeld, 0);
  for (const { place, entry } of entries) {
    b.set(cursor, entry);
    b.call("clients.look");
    poll.watch(place, watched, wanted);
  }
  poll.watch("attach", listener, k("POLLIN"));
  const nothing = b.fresh("watch");
  b.set(watched, -1);
  b.branch(input.length, "eq", 0, nothing);
  b.call("clients.target");
  b.label(nothing);
  poll.watch("input", watched, k("POLLOUT"));
}

export function serveClients({ b }: Context, poll: PollTable): void {
  const happened = (place: Parameters<PollTable["happened"]>[0], then: () => void) => {
    const not = b.fresh("serve");
    poll.happened(place);
    b.branch(events, "eq", 0, not);
    then();
    b.label(not);
  };
  happened("input", () => b.call("clients.input"));
  for (const { place, entry } of entries) {
    happened(place, () => {
      b.set(cursor, entry);
      b.call("clients.serve");
    });
  }
  happened("attach", () => b.call("clients.accept"));
}

export function clientSubroutines(c: Context): void {
  clientMemory(c);
  lookSubroutine(c);
  broadcastSubroutines(c);
  inputSubroutines(c);
  acceptSubroutine(c);
}

function lookSubroutine({ b }: Context): void {
  b.comment("what to wait for of a client");
  b.label("clients.look");
  b.set(watched, -1);
  b.set(wanted, 0);
  b.load(8, fd, cursor);
  b.branch(fd, "lt", 0, "clients.look.end");
  b.load(8, isBehind, cursor, 8);
  b.branch(isBehind, "eq", 0, "clients.look.taken");
  b.set(isHeld, 1);
  b.set(wanted, k("POLLOUT"));
  b.label("clients.look.taken");
  b.branch(input.length, "ne", 0, "clients.look.full");
  b.alu("or", wanted, wanted, k("POLLIN"));
  b.label("clients.look.full");
  // Else a client that hung up would be told of again and again.
  b.branch(wanted, "eq", 0, "clients.look.end");
  b.set(watched, fd);
  b.label("clients.look.end");
  b.return();
}

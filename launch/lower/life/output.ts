/**
 * What a payload in the background writes: read in chunks from its stdout and stderr, or its terminal, and
 * given to the log. Of two streams, what was written first is not known where both are ready.
 */
import { constant, slot } from "../../machine/builder.js";
import { k } from "../../machine/constants.js";
import type { Slot } from "../../machine/ir.js";
import type { Context } from "../context.js";
import { isReady } from "../control.js";
import { t } from "../payload/terminal.js";
import { events, type Place, type PollTable } from "../poll.js";
import { clientSubroutines, watchClients } from "./attach/clients.js";
import { isHeld } from "./attach/table.js";
import { chunk, chunkSize } from "./chunk.js";
import { l, lifeOf } from "./life.js";
import { logState, logSubroutines } from "./log.js";

const from = slot("chunkFrom");
const rounds = slot("drainRounds");
/** 1 while the terminal is left alone for a moment. */
const resting = slot("ptyResting");
const nothing = constant("nothing", -1);

const sources = (c: Context): readonly (readonly [Place, fd: Slot, stream: number])[] => [
  ["out", l.outRead, 1],
  ["err", l.errRead, 2],
  ...(c.terminal ? [["pty", t.ptyFd, 1] as const] : []),
];

/** Before each run. */
export function outputState(c: Context): void {
  if (lifeOf(c) === undefined) return;
  c.b.set(resting, 0);
  logState(c);
}

export function watchOutput(c: Context, poll: PollTable, timeout: Slot): void {
  const { b } = c;
  const [held, free, awake] = [b.fresh("watch"), b.fresh("watch"), b.fresh("watch")];
  watchClients(c, poll);
  b.set(timeout, 0);
  for (const [place, fd] of sources(c)) poll.watch(place, fd, k("POLLIN"));
  // It may fill the disk, which the first state must find room on for itself and the next.
  b.branch(isReady, "eq", 0, held);
  b.branch(isHeld, "eq", 0, free);
  b.label(held);
  for (const [place] of sources(c)) poll.watch(place, nothing, k("POLLIN"));
  b.label(free);
  if (!c.terminal) return;
  // While nobody inside has the terminal open it hangs up at once, each time it is asked.
  b.branch(resting, "eq", 0, awake);
  b.set(resting, 0);
  poll.watch("pty", nothing, k("POLLIN"));
  b.set(timeout, b.words("ptyPause", [0, 100_000_000], false));
  b.label(awake);
}

/** After the wait: a chunk of each that has any. */
export function takeOutput(c: Context, poll: PollTable): void {
  const { b } = c;
  for (const [place, fd, stream] of sources(c)) {
    const nothing = b.fresh("output");
    poll.happened(place);
    b.branch(events, "eq", 0, nothing);
    b.branch(isHeld, "ne", 0, nothing);
    b.set(from, fd);
    b.set(chunk.stream, stream);
    b.call("output.take");
    if (place === "pty") {
      b.branch(chunk.length, "gt", 0, nothing);
      b.set(resting, 1);
    }
    b.label(nothing);
  }
}

/** When nobody inside is left to write: the rest. Somebody outside may have got hold of a stream, and not end. */
export function drainOutput(c: Context): void {
  const { b } = c;
  for (const [, fd, stream] of sources(c)) {
    const [more, done] = [b.fresh("drain"), b.fresh("drain")];
    b.set(rounds, 1024);
    b.set(from, fd);
    b.set(chunk.stream, stream);
    b.label(more);
    b.call("clients.await");
    b.call("output.take");
    b.branch(chunk.length, "le", 0, done);
    b.alu("sub", rounds, rounds, 1);
    b.branch(rounds, "gt", 0, more);
    b.label(done);
  }
  if (lifeOf(c)?.log) b.call("log.last");
}

export function outputSubroutines(c: Context): void {
  const { b } = c;
  b.buffer(chunk.memory.of, 8 + chunkSize);
  b.comment("take a chunk, and give it to all who want it");
  b.label("output.take");
  b.attempt("read", [from, chunk.buffer, chunkSize], chunk.length);
  b.branch(chunk.length, "le", 0, "output.none");
  if (lifeOf(c)?.log) b.call("log.write");
  b.call("clients.write");
  b.label("output.none");
  b.return();
  logSubroutines(c);
  clientSubroutines(c);
}

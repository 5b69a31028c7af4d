/** What the monitor knows of who is attached. */
import { at, slot } from "../../../machine/builder.js";
import type { Address } from "../../../machine/ir.js";
import type { Context } from "../../context.js";
import { clientPlaces } from "../../poll.js";
import { inputSize } from "./messages.js";

const address = (of: string): Address => ({ kind: "address", of, offset: 0 });

/** One entry for each client: its fd or -1, and 1 where it has not taken the chunk at hand. */
export const table = address("clients");
const entrySize = 16;
export const entries = clientPlaces.map((place, number) => ({
  place,
  entry: at(table, entrySize * number),
}));

const message = address("clientMessage");
/** What a client has sent: the tag, and from the next multiple of eight on the data. */
export const received = { tag: at(message, 7), data: at(message, 8) } as const;
/** struct winsize. */
export const size = address("clientWindowSize");
/** struct timespec: what all of them have left for what they have not taken when the sandbox ends. */
export const patience = address("clientPatience");

/** The socket on which they come; -1 for none. */
export const listener = slot("clientListener");
/** The entry at hand, and what is in it. */
export const cursor = slot("clientEntry");
export const fd = slot("clientFd");
export const isBehind = slot("clientIsBehind");
/** Of whatever is done for one of them. */
export const result = slot("clientResult");
export const wanted = slot("clientWanted");
export const watched = slot("clientWatched");
/** 1 where a size of the window has come. */
export const hasSize = slot("clientHasSize");
/** What is to be written to the payload's stdin. */
export const input = { start: slot("inputStart"), length: slot("inputLength") } as const;

/** 1 where a client has not taken the chunk at hand: no other may be read. */
export const isHeld = slot("clientsHold");

export function clientMemory({ b }: Context): void {
  b.buffer(table.of, entrySize * entries.length);
  b.buffer(message.of, 8 + inputSize);
  b.buffer(size.of, 8);
  b.buffer(patience.of, 16);
}

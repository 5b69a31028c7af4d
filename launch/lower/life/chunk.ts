/** What has been read of a payload's output, on its way to all who want it. */
import { at, slot } from "../../machine/builder.js";
import type { Address } from "../../machine/ir.js";

const memory: Address = { kind: "address", of: "outputChunk", offset: 0 };

/** The chunk at hand: where it is, its bytes, and its stream: 1 for stdout or a terminal, 2 for stderr. */
export const chunk = {
  /** `chunkSize` bytes, behind 8 of which the last is before them in a message. */
  memory,
  tag: at(memory, 7),
  buffer: at(memory, 8),
  length: slot("chunkLength"),
  stream: slot("chunkStream"),
} as const;

export const chunkSize = 8192;

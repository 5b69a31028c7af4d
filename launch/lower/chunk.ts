/** What has been read of a payload's output, on its way to all who want it. */
import { slot } from "../builder.js";
import type { Address } from "../ir.js";

/** The chunk at hand: where it is, its bytes, and its stream: 1 for stdout or a terminal, 2 for stderr. */
export const chunk = {
  buffer: { kind: "address", of: "outputChunk", offset: 0 } as Address,
  length: slot("chunkLength"),
  stream: slot("chunkStream"),
} as const;

export const chunkSize = 8192;

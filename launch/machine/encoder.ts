/** What a back end is: the part of the compiler that knows an instruction set. */
import type { Address, Op } from "./ir.js";

/** A place in the text that needs an address which is known only after layout. */
export interface Relocation {
  /** Where in the text, in bytes; what is written there is the encoder's own affair. */
  readonly at: number;
  /** A data item, or the area in which the slots lie. */
  readonly target: Address | { readonly kind: "slots"; readonly offset: number };
  /** Whether it is the distance from the start of the slot area that is needed. */
  readonly relative: boolean;
}

export interface Encoded {
  /** Machine code whose first byte is the entry point. Branches and calls are resolved. */
  readonly text: Uint8Array;
  readonly relocations: readonly Relocation[];
  /** Where the label `landmarks.resident` lies in the text, in bytes; null where there is none. */
  readonly resident: number | null;
}

/** An instruction set. Programs that reach it have passed launch/machine/verify.ts. */
export interface Encoder {
  /** e_machine of the ELF header, see elf(5). */
  readonly machine: number;
  /** What the address of an instruction is a multiple of. */
  readonly instructionBytes: number;
  /** The largest page that a kernel may have there: no two segments share one. */
  readonly pageBytes: number;
  /** Translates the ops; `slotOffsets` says where in the slot area each slot lies, in bytes. */
  encode(ops: readonly Op[], slotOffsets: ReadonlyMap<string, number>): Encoded;
  /** Writes an address, below 2^31, or a distance, of 32 bits with sign, where a relocation wants it. */
  patch(text: DataView, at: number, value: number): void;
}

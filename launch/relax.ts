/**
 * Branch relaxation for x86-64: jumps are two bytes where the distance allows and five or six
 * where it does not, which decides the distances of others.
 */

/** A stretch of machine code with one thing to resolve at its end, if anything. */
export type Piece =
  | { readonly kind: "code"; readonly bytes: number[] }
  | { readonly kind: "label"; readonly name: string }
  /** `short` is the opcode with an 8-bit distance, null where there is none (call); `long` has 32. */
  | {
      readonly kind: "jump";
      readonly short: number | null;
      readonly long: readonly number[];
      readonly to: string;
    };

/** The machine code, and where each piece begins in it. Distances count from the jump's end. */
export function relax(pieces: readonly Piece[]): { text: Uint8Array; starts: readonly number[] } {
  const long = pieces.map((piece) => piece.kind === "jump" && piece.short === null);
  for (;;) {
    const { starts, labels, size } = measure(pieces, long);
    const distance = (index: number, to: string): number => {
      const target = labels.get(to);
      if (target === undefined) throw new Error(`jump to an unknown label ${to}`);
      return target - (starts[index + 1] ?? size);
    };
    // Jumps only ever grow, so this ends.
    const growing = pieces.flatMap((piece, index) => {
      if (piece.kind !== "jump" || long[index]) return [];
      const delta = distance(index, piece.to);
      return delta < -128 || delta > 127 ? [index] : [];
    });
    if (growing.length > 0) {
      for (const index of growing) long[index] = true;
      continue;
    }
    const text = new Uint8Array(size);
    const view = new DataView(text.buffer);
    for (const [index, piece] of pieces.entries()) {
      const start = starts[index] ?? 0;
      if (piece.kind === "code") text.set(piece.bytes, start);
      if (piece.kind !== "jump") continue;
      const delta = distance(index, piece.to);
      if (long[index] || piece.short === null) {
        text.set(piece.long, start);
        view.setInt32(start + piece.long.length, delta, true);
      } else {
        text[start] = piece.short;
        view.setInt8(start + 1, delta);
      }
    }
    return { text, starts };
  }
}

function measure(pieces: readonly Piece[], long: readonly boolean[]) {
  const starts: number[] = [];
  const labels = new Map<string, number>();
  let size = 0;
  for (const [index, piece] of pieces.entries()) {
    starts.push(size);
    if (piece.kind === "label") labels.set(piece.name, size);
    if (piece.kind === "code") size += piece.bytes.length;
    if (piece.kind === "jump") size += long[index] ? piece.long.length + 4 : 2;
  }
  return { starts, labels, size };
}

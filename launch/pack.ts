/**
 * Texts made smaller, by references to what came before: LZ77 (Ziv and Lempel 1977), in a form that
 * takes a dozen lines to undo. A byte below 0x80 stands for itself. Any other is the first of two,
 * 1LLLLDDD DDDDDDDD: a copy of L + 3 bytes from D bytes back or, where D is 0, the one byte that follows.
 */

/** What the two bytes of a copy can say. */
export const shortestCopy = 3;
const longestCopy = shortestCopy + 15;
const farthestCopy = 0x7ff;
/** More places to copy from are not tried: it would take longer and gain next to nothing. */
const mostTried = 24;

/** The bytes, packed. */
export function pack(bytes: Uint8Array): Uint8Array {
  const copies = longestCopies(bytes);
  // By what each position costs from there to the end, how many bytes its best copy has; 0 is none.
  const costs = new Uint32Array(bytes.length + 1);
  const chosen = new Uint8Array(bytes.length);
  for (let at = bytes.length - 1; at >= 0; at -= 1) {
    costs[at] = (costs[at + 1] as number) + ((bytes[at] as number) < 0x80 ? 1 : 3);
    for (let length = shortestCopy; length <= (copies.lengths[at] as number); length += 1) {
      const cost = (costs[at + length] as number) + 2;
      if (cost >= (costs[at] as number)) continue;
      costs[at] = cost;
      chosen[at] = length;
    }
  }
  const packed: number[] = [];
  for (let at = 0; at < bytes.length; at += chosen[at] || 1) {
    const byte = bytes[at] as number;
    const length = chosen[at] as number;
    const distance = copies.distances[at] as number;
    if (length > 0) {
      packed.push(0x80 | ((length - shortestCopy) << 3) | (distance >> 8), distance & 0xff);
    } else if (byte < 0x80) packed.push(byte);
    else packed.push(0x80, 0, byte);
  }
  return Uint8Array.from(packed);
}

interface Copies {
  readonly lengths: Uint8Array;
  readonly distances: Uint16Array;
}

/** For each position the longest copy that could stand there. */
function longestCopies(bytes: Uint8Array): Copies {
  const lengths = new Uint8Array(bytes.length);
  const distances = new Uint16Array(bytes.length);
  /** The last place where three bytes stood, and for each place the one before that. */
  const last = new Map<number, number>();
  const before = new Int32Array(bytes.length).fill(-1);
  for (let at = 0; at + shortestCopy <= bytes.length; at += 1) {
    const key =
      ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    let from = last.get(key) ?? -1;
    before[at] = from;
    last.set(key, at);
    for (let tried = 0; from >= 0 && at - from <= farthestCopy && tried < mostTried; tried += 1) {
      const length = commonLength(bytes, from, at);
      if (length > (lengths[at] as number)) {
        lengths[at] = length;
        distances[at] = at - from;
      }
      from = before[from] as number;
    }
  }
  return { lengths, distances };
}

function commonLength(bytes: Uint8Array, from: number, at: number): number {
  const most = Math.min(longestCopy, bytes.length - at);
  let length = shortestCopy;
  while (length < most && bytes[from + length] === bytes[at + length]) length += 1;
  return length;
}

/**
 * Texts made smaller, by references to what came before: LZ77 (Ziv and Lempel 1977), in a form that
 * takes a dozen lines to undo. A byte below 0x80 stands for itself. Any other is the first of two,
 * 1LLLLDDD DDDDDDDD: a copy of L + 3 bytes from D bytes back or, where D is 0, the one byte that follows
 * (L is 0) or the end (1).
 */

/** What the two bytes of a copy can say. */
export const shortestCopy = 3;
export const literal = 0x80;
const end = 0x88;
const longestCopy = shortestCopy + 15;
const farthestCopy = 0x7ff;
/** More places to copy from are not tried: every cold start pays for it, and next to nothing is gained. */
const mostTried = 16;
const hashes = 1 << 12;

/** The bytes, packed. */
export function pack(bytes: Uint8Array): Uint8Array {
  const packed: number[] = [];
  /** The last place where bytes of that hash stood, and for each place the one before it. */
  const last = new Int32Array(hashes).fill(-1);
  const before = new Int32Array(bytes.length).fill(-1);
  const hashOf = hashesOf(bytes);
  for (let at = 0; at < bytes.length; ) {
    let length = 0;
    let distance = 0;
    let from = last[hashOf[at] as number] as number;
    for (let tried = 0; tried < mostTried && from >= 0 && at - from <= farthestCopy; tried += 1) {
      // What is longer has this byte in common as well.
      const isLonger = bytes[from + length] === bytes[at + length];
      const common = isLonger ? commonLength(bytes, from, at) : 0;
      if (common > length) {
        length = common;
        distance = at - from;
      }
      from = before[from] as number;
    }
    const byte = bytes[at] as number;
    if (length >= shortestCopy) {
      packed.push(0x80 | ((length - shortestCopy) << 3) | (distance >> 8), distance & 0xff);
    } else if (byte < 0x80) packed.push(byte);
    else packed.push(literal, 0, byte);
    for (const end = at + (length < shortestCopy ? 1 : length); at < end; at += 1) {
      const hash = hashOf[at] as number;
      before[at] = last[hash] as number;
      last[hash] = at;
    }
  }
  packed.push(end, 0);
  return Uint8Array.from(packed);
}

/** Of the three bytes from each place on. */
function hashesOf(bytes: Uint8Array): Uint16Array {
  const found = new Uint16Array(bytes.length);
  let hash = 0;
  for (let at = bytes.length - 1; at >= 0; at -= 1) {
    hash = ((hash << 4) ^ (bytes[at] as number)) & (hashes - 1);
    found[at] = hash;
  }
  return found;
}

function commonLength(bytes: Uint8Array, from: number, at: number): number {
  const most = Math.min(longestCopy, bytes.length - at);
  let length = 0;
  while (length < most && bytes[from + length] === bytes[at + length]) length += 1;
  return length;
}

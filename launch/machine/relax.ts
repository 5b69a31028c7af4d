/**
 * Branch relaxation for x86-64: jumps are two bytes where the distance allows and five or six
 * where it does not, which decides the distances of others.
 *
 * A jump that does not reach its target may go to another one on the way there, of the same condition
 * and to the same target: nothing changes between the two, so that it jumps on. An error's way to
 * the common handler is a chain of such short jumps.
 */

/** A jump in code where all jumps are short: two bytes, a call five. */
export interface Jump {
  /** Where it begins, in bytes. */
  readonly at: number;
  /** The opcode with an 8-bit distance; that of a call, which has none, is its own. */
  readonly opcode: number;
  /** Index of the label. */
  readonly to: number;
}

/** A place in such code. */
export interface Mark {
  readonly at: number;
  /** How many jumps lie before it. */
  readonly jumps: number;
}

export interface Relaxed {
  readonly text: Uint8Array;
  /** Where a mark has come to lie in the text. */
  readonly find: (mark: Mark) => number;
}

/** call rel32 */
export const call = 0xe8;
/** jmp rel8; all other short jumps are Jcc. */
export const jmp = 0xeb;

/** Chooses the lengths of jumps, and fills in the distances. */
export function relax(code: Uint8Array, jumps: readonly Jump[], labels: readonly Mark[]): Relaxed {
  const long = new Uint8Array(jumps.length);
  /** By how many bytes the first n jumps have grown. */
  const grown = new Int32Array(jumps.length + 1);
  const others = siblings(jumps, labels);
  const find = ({ at, jumps }: Mark): number => at + (grown[jumps] as number);
  const start = (index: number): number => (jumps[index] as Jump).at + (grown[index] as number);
  /** Distances count from the jump's end. */
  const distance = (index: number, jump: Jump): number => {
    const end = jump.at + (jump.opcode === call ? 5 : 2) + (grown[index + 1] as number);
    const direct = find(labels[jump.to] as Mark) - end;
    const other = others[index] as number;
    if (isShort(direct) || long[index] === 1 || other === -1) return direct;
    return start(other) - end;
  };
  // Jumps only ever grow, so this ends.
  for (let growing = true; growing; ) {
    growing = false;
    for (let index = 0; index < jumps.length; index += 1) {
      const jump = jumps[index] as Jump;
      if (long[index] === 1 || jump.opcode === call || isShort(distance(index, jump))) continue;
      long[index] = 1;
      growing = true;
    }
    let sum = 0;
    for (let index = 0; index < jumps.length; index += 1) {
      if (long[index] === 1) sum += (jumps[index] as Jump).opcode === jmp ? 3 : 4;
      grown[index + 1] = sum;
    }
  }
  const text = new Uint8Array(code.length + (grown[jumps.length] as number));
  const view = new DataView(text.buffer);
  let copied = 0;
  for (let index = 0; index < jumps.length; index += 1) {
    const jump = jumps[index] as Jump;
    const { at, opcode } = jump;
    const begin = start(index);
    text.set(code.subarray(copied, at), copied + (grown[index] as number));
    copied = at + (opcode === call ? 5 : 2);
    const delta = distance(index, jump);
    if (opcode === call) {
      text[begin] = opcode;
      view.setInt32(begin + 1, delta, true);
    } else if (long[index] === 0) {
      text[begin] = opcode;
      view.setInt8(begin + 1, delta);
    } else if (opcode === jmp) {
      text[begin] = 0xe9;
      view.setInt32(begin + 1, delta, true);
    } else {
      text[begin] = 0x0f;
      text[begin + 1] = opcode + 0x10;
      view.setInt32(begin + 2, delta, true);
    }
  }
  text.set(code.subarray(copied), copied + (grown[jumps.length] as number));
  return { text, find };
}

const isShort = (distance: number): boolean => distance >= -128 && distance <= 127;

/** For each jump the next one like it in the direction of its target, or -1. */
function siblings(jumps: readonly Jump[], labels: readonly Mark[]): Int32Array {
  const found = new Int32Array(jumps.length).fill(-1);
  const look = (index: number, forward: boolean, last: Map<number, number>): void => {
    const { opcode, to } = jumps[index] as Jump;
    // A call has to come back to where it is.
    if (opcode === call) return;
    const key = to * 256 + opcode;
    const isForward = (labels[to] as Mark).jumps > index;
    if (isForward === forward) found[index] = last.get(key) ?? -1;
    last.set(key, index);
  };
  const before = new Map<number, number>();
  for (let index = 0; index < jumps.length; index += 1) look(index, false, before);
  const behind = new Map<number, number>();
  for (let index = jumps.length - 1; index >= 0; index -= 1) look(index, true, behind);
  return found;
}

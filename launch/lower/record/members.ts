/** What is in the record: what was known before, and what is only now. */
import type { ActionOf } from "../../../spec/step.js";
import { constant, slot } from "../../machine/builder.js";
import { k, minus } from "../../machine/constants.js";
import type { Address, Value } from "../../machine/ir.js";
import { pack } from "../../machine/pack.js";
import { cgroupFact } from "../cgroup/cgroup.js";
import { type Context, recordText, s, textSize } from "../context.js";
import { portFact } from "../netns/ports.js";
import { networksFact } from "../netns/tell-address.js";
import { unpack } from "../text/packed.js";
import { compose, type JsonPiece, type RecordFact, textLength } from "../text/text.js";
import { record, sandboxName, shownId } from "./place.js";

const started = slot("startedSeconds");
const monitor = slot("ownPid");

/**
 * Members of the JSON object that are known only when the sandbox runs: a key, and the text of its
 * value; null where the plan has nothing of the kind. The parts of the program that know them are
 * listed here; each is asked once, in the monitor, after all of its steps.
 */
const facts: readonly ((c: Context) => RecordFact | null)[] = [portFact, networksFact, cgroupFact];

export function writeMembers(
  c: Context,
  { known }: ActionOf<"keepRecord">,
  namespaces: readonly JsonPiece[],
): void {
  const { b, memory } = c;
  b.must("getpid", [], monitor);
  b.must("clock_gettime", [k("CLOCK_REALTIME"), memory.scratch]);
  b.load(8, started, memory.scratch);
  const told = facts.flatMap((factOf) => {
    const fact = factOf(c);
    return fact === null ? [] : [`${JSON.stringify(fact[0])}:`, ...fact.slice(1), ","];
  });
  write(c, [
    '{"version":1,"id":"',
    { string: shownId },
    '","name":"',
    { string: sandboxName },
    '","monitor":',
    { decimal: monitor },
    ',"namespaces":',
    ...namespaces,
    ',"init":',
    { decimal: s.initPid },
    ',"started":',
    { decimal: started },
    ",",
    ...told,
  ]);
  const text = Buffer.from(recordText(known));
  unpack(c, b.bytes("packedRecord", pack(text)), memory.recordText);
  writeWhole(c, memory.recordText, text.length);
}

/** Digits of a number of 64 bits. */
const longestDecimal = 20;
/** What is longer costs less as a call of its own. */
const longestGroup = 512;

/** In as few calls as may be: long texts, and strings that are known only now, one by one. */
function write(c: Context, pieces: readonly JsonPiece[]): void {
  const { b, memory } = c;
  const sizeOf = (piece: JsonPiece) => {
    if (typeof piece === "string") return Buffer.byteLength(piece);
    return "decimal" in piece ? longestDecimal : textSize;
  };
  const groups: { size: number; pieces: JsonPiece[] }[] = [];
  for (const piece of pieces) {
    const size = sizeOf(piece);
    const last = groups.at(-1);
    if (last === undefined || last.size + size >= longestGroup)
      groups.push({ size, pieces: [piece] });
    else {
      last.size += size;
      last.pieces.push(piece);
    }
  }
  for (const { pieces } of groups) {
    const [first] = pieces;
    if (pieces.length === 1 && typeof first === "string") {
      writeWhole(c, b.text(first), Buffer.byteLength(first));
      continue;
    }
    compose(
      c,
      pieces.map((piece) => (typeof piece === "string" ? b.text(piece) : piece)),
    );
    writeWhole(c, memory.text, textLength);
  }
}

/** A full disk takes a part of it first, and tells with the next call only. */
function writeWhole({ b }: Context, text: Address, length: Value): void {
  const whole = b.fresh("written");
  b.must("write", [record, text, length], s.result);
  b.branch(s.result, "eq", length, whole);
  b.set(s.errno, constant("ENOSPC", -minus("ENOSPC").value));
  b.fail();
  b.label(whole);
}

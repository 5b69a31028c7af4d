/** What the init still needs must not be among what it gives back. */
import * as assert from "uvu/assert";
import { compileSandbox } from "../../../launch/compile.js";
import { operandsOf, targetOf } from "../../../launch/machine/flow.js";
import { landmarks } from "../../../launch/machine/ir.js";
import { closedSpec, hostOf } from "../../support/fixture.js";
import { suite } from "../../support/suite.js";

const test = suite("launch/give-back");

test("the waiting init uses nothing of the code and texts before what is resident", () => {
  const { ops, data } = compileSandbox(closedSpec("/srv/debian"), hostOf({})).program;
  const labelled = (name: string) => ops.findIndex((op) => op.kind === "label" && op.name === name);
  const resident = labelled(landmarks.resident);
  const waiting = labelled("init.loop");
  assert.ok(resident !== -1 && waiting > resident);
  const readOnly = new Set(
    data.flatMap((item) =>
      item.kind === "bytes" || (item.kind === "words" && !item.writable) ? [item.name] : [],
    ),
  );
  const seen = new Set([waiting]);
  for (const index of seen) {
    const op = ops[index];
    assert.ok(op !== undefined && index > resident, `op ${index}`);
    for (const value of operandsOf(op)) {
      const isText =
        typeof value === "object" && value.kind === "address" && readOnly.has(value.of);
      assert.not.ok(isText, `op ${index}: ${op.kind}`);
    }
    const target = targetOf(op);
    if (target !== null) seen.add(labelled(target));
    const ends = op.kind === "jump" || op.kind === "return";
    if (!ends && !(op.kind === "syscall" && op.onError.kind === "never")) seen.add(index + 1);
  }
});

test.run();

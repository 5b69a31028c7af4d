import * as assert from "uvu/assert";
import { createGraph, type Node } from "../../seccomp/graph.js";
import { layOut } from "../../seccomp/layout.js";
import { simulate } from "../../seccomp/simulate.js";
import { validate } from "../../seccomp/validate.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp/layout");

const call = (nr: number) => ({ nr, arch: 0, args: [] });

test("one test, with a return for each way", () => {
  const graph = createGraph();
  const root = graph.load(0, graph.test("equal", 7, graph.give(1), graph.give(2)));
  assert.equal(layOut(root), [
    { code: 0x20, jt: 0, jf: 0, k: 0 },
    { code: 0x15, jt: 1, jf: 0, k: 7 },
    { code: 0x06, jt: 0, jf: 0, k: 2 },
    { code: 0x06, jt: 0, jf: 0, k: 1 },
  ]);
});

test("a load that two ways lead to is there once, and one of them jumps to it", () => {
  const graph = createGraph();
  const shared = graph.test("greaterEqual", 9, graph.give(1), graph.give(2));
  const root = graph.load(
    0,
    graph.test("equal", 5, graph.load(16, shared), graph.load(24, shared)),
  );
  const filter = layOut(root);
  assert.is(filter.filter(({ code }) => code === 0x35).length, 1);
  assert.is(filter.filter(({ code }) => code === 0x05).length, 1);
  assert.is(simulate(filter, { nr: 5, arch: 0, args: [9n, 0n] }).verdict, 1);
  assert.is(simulate(filter, { nr: 4, arch: 0, args: [9n, 0n] }).verdict, 2);
});

/** `count` numbers one after the other, each with a verdict of its own and one of two for the rest. */
function chain(count: number, verdictOf: (number: number) => number): Node {
  const graph = createGraph();
  let node = graph.give(0);
  for (let number = count - 1; number >= 0; number -= 1) {
    node = graph.test("equal", number, graph.give(verdictOf(number)), node);
  }
  return graph.load(0, node);
}

test("ways longer than a conditional jump can reach", () => {
  for (const verdictOf of [(number: number) => number + 1, () => 1]) {
    const filter = layOut(chain(1500, verdictOf));
    assert.is(validate(filter), null);
    for (const nr of [0, 1, 254, 255, 256, 257, 700, 1243, 1244, 1245, 1499]) {
      assert.is(simulate(filter, call(nr)).verdict, verdictOf(nr), `${nr}`);
    }
    assert.is(simulate(filter, call(1500)).verdict, 0);
  }
});

test("a return far away is said again rather than jumped to", () => {
  const filter = layOut(chain(1000, () => 1));
  assert.is(filter.filter(({ code }) => code === 0x05).length, 0);
  assert.ok(filter.length < 1000 + 10, `${filter.length}`);
});

test("more than 4096 instructions are refused", () => {
  assert.is(layOut(chain(4000, () => 1)).length <= 4096, true);
  assert.throws(() => layOut(chain(4096, () => 1)), /the kernel admits 4096/);
});

test.run();

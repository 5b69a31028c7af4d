import * as assert from "uvu/assert";
import {
  existsSync,
  readLazily,
  whileRecording,
  withoutNote,
} from "../../../launch/facts/readings.js";
import { suite } from "../../support/suite.js";

const test = suite("launch/readings");

/** The paths that were noted down. */
const noted = async (work: () => void) => {
  const { recording } = await whileRecording(0, async () => work());
  return [...recording.readings.values()].map((reading) => "path" in reading && reading.path);
};

test("what nobody asks for is not noted down, what is asked for twice is read once", async () => {
  let reads = 0;
  const facts = readLazily({
    root: () => existsSync("/") && ++reads,
    tmp: () => existsSync("/tmp"),
  });
  assert.equal(await noted(() => assert.equal([facts.root, facts.root], [1, 1])), ["/"]);
  assert.equal(Object.keys(facts), ["root", "tmp"]);
});

test("what was known without a note is noted down when it is asked for with one", async () => {
  const facts = readLazily({ root: () => existsSync("/"), tmp: () => existsSync("/tmp") });
  assert.is(facts.root, true);
  assert.equal(
    await noted(() => {
      withoutNote(() => facts.root && facts.tmp);
      assert.is(facts.root, true);
    }),
    ["/"],
  );
  assert.equal(await noted(() => facts.tmp), ["/tmp"]);
});

test.run();

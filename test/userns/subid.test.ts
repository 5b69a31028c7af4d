import * as assert from "uvu/assert";
import { firstFreeSubid, parseGetsubids, parseSubids } from "../../userns/subid.js";
import { suite } from "../support/suite.js";

const test = suite("userns/subid");
const alice = { name: "alice", uid: 1000 };
const ranges = (text: string, owner: { name: string | null; uid: number } = alice) =>
  parseSubids(text, owner).map(({ start, size }) => `${start}+${size}`);

test("ranges by name and by uid, in file order", () => {
  const text = "bob:1:2\n1000:300000:10\nalice:100000:65536\n1001:5:5\n";
  assert.equal(ranges(text), ["300000+10", "100000+65536"]);
});

test("a user without a name is found by uid only", () => {
  const text = "null:5:5\nalice:100000:65536\n1000:300000:10";
  assert.equal(ranges(text, { name: null, uid: 1000 }), ["300000+10"]);
});

test("comments, malformed lines and empty ranges are passed over", () => {
  const text = [
    "# alice:1:1",
    "alice",
    "alice:1",
    "alice:1:2:3",
    "alice:x:5",
    "alice:-5:5",
    "alice:5:-5",
    "alice:7:0",
    "alice::5",
    "alice:5:",
    ":5:5",
    "alice:1.5:2",
    "alice:0x10:2",
    "alice:1e3:2",
    "",
    "alicia:1:1",
    "alice:100000:65536\r",
  ].join("\n");
  assert.equal(ranges(text), ["100000+65536"]);
});

test("the highest id is 2^32-2", () => {
  assert.equal(ranges("alice:4294967294:1"), ["4294967294+1"]);
  assert.equal(ranges("alice:4294967295:1"), []);
  assert.equal(ranges("alice:4294967290:99999999999"), ["4294967290+5"]);
});

test("of an overlap the first range has it", () => {
  assert.equal(ranges("alice:100:100\nalice:150:100"), ["100+100", "200+50"]);
  assert.equal(ranges("alice:150:100\nalice:100:100"), ["150+100", "100+50"]);
  assert.equal(ranges("alice:100:10\nalice:90:30"), ["100+10", "90+10", "110+10"]);
  assert.equal(ranges("alice:100:10\n1000:100:10\nalice:102:3"), ["100+10"]);
});

test("a range for one more user begins above those of all", () => {
  assert.is(firstFreeSubid(""), 100000);
  assert.is(firstFreeSubid("bob:300000:65536\nalice:100000:65536\n1003:165536:65536\n"), 365536);
  assert.is(firstFreeSubid("bob:1000:500\nbroken:400000\n:x:\nempty:500000:0\n"), 100000);
  assert.is(firstFreeSubid("greedy:100000:9999999999\n"), 4294967295);
});

test("what getsubids prints", () => {
  const text = "0: alice 100000 65536\n1: alice 200000 10\n";
  assert.equal(parseGetsubids(text), [
    { start: 100000, size: 65536 },
    { start: 200000, size: 10 },
  ]);
  assert.equal(parseGetsubids("0: CORP\\alice smith 5 6"), [{ start: 5, size: 6 }]);
  assert.equal(parseGetsubids("Error fetching ranges\n"), []);
  assert.equal(parseGetsubids("0: alice 100000 0"), []);
});

test.run();

/** What `sbx attach` understands. */
import * as assert from "uvu/assert";
import { readDetachKeys } from "../../cmd/attach.js";
import { suite } from "../support/suite.js";

const test = suite("attach options");

test("keys to detach are characters and control characters, as docker writes them", () => {
  for (const [text, bytes] of [
    ["ctrl-p,ctrl-q", [16, 17]],
    ["a", [97]],
    ["ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", [0, 27, 28, 29, 30, 31]],
    ["ctrl-a,~,ctrl-z", [1, 126, 26]],
    ["", []],
  ] as const) {
    assert.equal([...readDetachKeys(text)], bytes, text);
  }
  for (const text of ["ctrl-", "ctrl-A", "ctrl-1", "ab", "a,,b", "é", "ctrl-p,"]) {
    assert.throws(() => readDetachKeys(text), /--detach-keys .*: /, text);
  }
  assert.throws(() => readDetachKeys("a,".repeat(16).concat("a")), /are more than 16 keys/);
});

test.run();

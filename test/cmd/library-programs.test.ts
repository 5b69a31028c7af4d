/** The programs that a sandbox of the library's has at hand. */
import { setImmediate as turn } from "node:timers/promises";
import * as assert from "uvu/assert";
import { programsAtHand } from "../../cmd/library-programs.js";
import { suite } from "../support/suite.js";

const test = suite("library programs");

function counted() {
  const programs = programsAtHand();
  const [made, closed]: [string[], string[]] = [[], []];
  const find = (key: string, path = "/") =>
    programs.find(key, async () => {
      made.push(key);
      return { path, close: () => closed.push(key) };
    });
  return { ...programs, find, made, closed };
}

test("each is made once, however many ask at the same time", async () => {
  const { find, made } = counted();
  await Promise.all([find("a"), find("a"), find("b")]);
  await find("a");
  assert.equal(made, ["a", "b"]);
});

test("of more than 64, the one that was not asked for longest is closed, after who waits has it", async () => {
  const { find, closed, clear } = counted();
  await find("used");
  const all = Array.from({ length: 63 }, (_, index) => find(`${index}`));
  await find("used");
  const last = find("last").then(() => closed.length);
  assert.is(await last, 0);
  await Promise.all(all);
  await turn();
  assert.equal(closed, ["0"]);
  clear();
  for (let turns = 0; turns < 2; turns += 1) await turn();
  assert.is(closed.length, 65);
});

test("what is gone is made anew, and what cannot be made is tried again", async () => {
  const { find, made } = counted();
  await find("gone", "/nowhere/at/all");
  await find("gone", "/");
  assert.equal(made, ["gone", "gone"]);
  const programs = programsAtHand();
  const fails = () => Promise.reject(new Error("full"));
  for (let times = 0; times < 2; times += 1) {
    assert.is(await programs.find("a", fails).catch(({ message }) => message), "full");
  }
  assert.is((await programs.find("a", async () => ({ path: "/", close() {} }))).path, "/");
});

test.run();

import * as assert from "uvu/assert";
import { renderProblem, SbxError, visible } from "../../spec/error.js";
import { suite } from "../support/suite.js";

const test = suite("spec/error");

test("a problem is one line, whatever names are in it", () => {
  const hostile = { what: "user \x1b]0;owned\x07", why: "a\nb\x7f\0", hint: "c\x9b2Jd\r" };
  const line = "sbx: user \\x1b]0;owned\\x07: a\\x0ab\\x7f\\x00. c\\x9b2Jd\\x0d";
  assert.is(renderProblem(hostile), line);
  assert.is(new SbxError([hostile, { what: "w", why: "y" }]).message, `${line}\nsbx: w: y`);
});

test("letters of any script stay as they are", () => {
  const text = "/srv/Zoë/資料/🙂 \\x1b \u00a0";
  assert.is(visible(text), text);
});

test.run();

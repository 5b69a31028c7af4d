/** The templates of `--format`. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { readTemplate, renderTemplate } from "../../cmd/template.js";
import { suite } from "../support/suite.js";

const test = suite("cmd/template");
const web = {
  ID: "1",
  Names: "web",
  Labels: { a: "b", "x.y": "z" },
  State: { Pid: 7, Error: null },
};
const shown = (text: string) => renderTemplate(readTemplate(text, "--format"), [web], null);

test("fields, members, JSON and keys", () => {
  assert.is(shown("{{.Names}} {{ .State.Pid }}"), "web 7\n");
  assert.is(shown("{{.Labels}}{{json .State.Error}}"), '{"a":"b","x.y":"z"}null\n');
  assert.is(shown('{{index .Labels "x.y"}}|{{index .Labels "none"}}|{{.State.Error}}'), "z||\n");
  assert.is(shown("{{json .}}"), `${JSON.stringify(web)}\n`);
  assert.is(shown("a\\tb\\nc"), "a\tb\nc\n");
});

test("a table has titles, and columns of one width", () => {
  const template = readTemplate("table {{.ID}}\\t{{.Names}}\\t{{json .State}}", "--format");
  const other = { ...web, ID: "123", State: {} };
  assert.is(
    renderTemplate(template, [web, other], null),
    'ID   NAMES  STATE\n1    web    {"Pid":7,"Error":null}\n123  web    {}\n',
  );
});

test("what there is none of is named, with what there is", () => {
  assert.throws(() => shown("{{.Nams}}"), /no such field: \.Nams\. Did you mean Names\?/);
  assert.throws(() => shown("{{.State.X}}"), /no such field: \.X\. There are Pid, Error/);
  assert.throws(() => shown("{{.ID.x}}"), /there is nothing in which \.x is/);
  assert.throws(() => shown("{{range .Labels}}"), /is not understood\. There are {{\.Field}}/);
  assert.throws(() => shown("{{.a b}}"), /is not understood/);
  assert.throws(() => shown("{{index .Labels a}}"), /neither a number nor in plain quotes/);
  assert.throws(() => shown("{{.ID"), /a {{ has no }}/);
  assert.throws(() => shown("{{.constructor}}"), /no such field/);
  assert.throws(() => readTemplate("{{.X}}", "--format", ["ID"]), /There are ID/);
});

test("any text is rendered or refused", () => {
  const piece = fc.constantFrom("{{", "}}", ".", "ID", "json ", 'index . "', '"', "\\", " ", "x");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      try {
        shown(pieces.join(""));
      } catch (error) {
        assert.is((error as Error).name, "SbxError", (error as Error).stack);
      }
    }),
    { numRuns: 2000 },
  );
});

test.run();

import * as assert from "uvu/assert";
import { type Column, cut, sizeText, table } from "../../cmd/table.js";
import { suite } from "../support/suite.js";

const test = suite("tables");

const columns: readonly Column[] = [
  { title: "NAME", worth: null },
  { title: "CPU", worth: null, right: true },
  { title: "NET", worth: 2 },
  { title: "DISK", worth: 1 },
];
const rows = [
  ["a-long-name", "1.00%", "1B / 2B", "3B"],
  ["b", "100.00%", "--", "--"],
];

test("columns are as wide as what is in them", () => {
  assert.is(
    table(columns, rows, null),
    [
      "NAME             CPU  NET      DISK",
      "a-long-name    1.00%  1B / 2B  3B",
      "b            100.00%  --       --",
      "",
    ].join("\n"),
  );
});

test("where there is no room, what is worth least is left out, then the widest text is cut", () => {
  const heads = (width: number) => table(columns, rows, width).split("\n")[0]?.split(/ +/);
  assert.equal(heads(35), ["NAME", "CPU", "NET", "DISK"]);
  assert.equal(heads(34), ["NAME", "CPU", "NET"]);
  assert.equal(heads(28), ["NAME", "CPU"]);
  assert.is(table(columns, rows, 14), "NAME       CPU\na-lo…    1.00%\nb      100.00%\n");
  const texts = columns.map(({ title }) => ({ title, worth: null }));
  assert.is(
    table(texts, [["short", "as long as it gets", "b", "c"]], 24),
    "NAME   CPU     NET  DISK\nshort  as lo…  b    c\n",
  );
});

test("characters of two columns, and of none, keep the columns together", () => {
  const rows = [
    ["日本語🙂", "x"],
    ["e\u0301", "y"],
  ];
  assert.is(
    table(columns.slice(0, 2), rows, null),
    "NAME      CPU\n日本語🙂    x\ne\u0301           y\n",
  );
  assert.is(cut("日本語🙂", 6), "日本…");
  assert.is(cut("日本語🙂", 7), "日本語…");
  assert.is(cut("日本語🙂", 8), "日本語🙂");
});

test("sizes in a few letters", () => {
  assert.equal([0, 1023, 1024, 10_000, 64 * 2 ** 20, 3 * 2 ** 40].map(sizeText), [
    "0B",
    "1023B",
    "1.0KiB",
    "9.8KiB",
    "64MiB",
    "3.0TiB",
  ]);
});

test.run();

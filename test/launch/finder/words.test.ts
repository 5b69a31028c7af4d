/** The finder's reading of command lines against the parser's, on lines made up from the table of options. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import * as assert from "uvu/assert";
import { optionWords } from "../../../cmd/finder.js";
import { aliasesOf, type Option } from "../../../cmd/options/option.js";
import { runOptions } from "../../../cmd/options/run.js";
import { parseRun } from "../../../cmd/parse.js";
import { sameSubroutine } from "../../../launch/finder/checks.js";
import { finderMemory, s } from "../../../launch/finder/state.js";
import { findWords, words, wordsEnd } from "../../../launch/finder/words.js";
import { builder } from "../../../launch/machine/builder.js";
import { compile } from "../../../launch/machine/link.js";
import { temporaryDirectory } from "../../support/inside.js";
import { suite } from "../../support/suite.js";

const test = suite("launch/finder/words");

/** Prints the words that would be the key. */
function printer(): string {
  const b = builder();
  const f = finderMemory(b);
  b.failTo("miss");
  b.stackPointer(s.stack);
  findWords(f, optionWords(runOptions));
  b.alu("sub", s.length, wordsEnd, words);
  b.must("write", [1, words, s.length]);
  b.exit(0);
  b.label("miss");
  b.exit(1);
  sameSubroutine(f);
  const path = join(temporaryDirectory("finder"), "printer");
  writeFileSync(path, compile(b.finish(), "x86_64"), { mode: 0o700 });
  return path;
}

/** What the parser says of a line, null where it is wrong. */
function parsed(line: readonly string[]): string | null {
  try {
    const { commandIndex } = parseRun(line);
    return ["run", ...line.slice(0, commandIndex)].map((word) => `${word}\0`).join("");
  } catch {
    return null;
  }
}

const options = Object.entries<Option>(runOptions);
const value = fc.constantFrom(
  "x",
  "",
  "-",
  "--",
  "-1",
  "--user",
  "0",
  "a=b",
  "1:2:3",
  "é\n",
  "512m",
);
const long: fc.Arbitrary<string[]> = fc
  .constantFrom(...options)
  .chain(([name, { type, choices }]) =>
    type === "boolean"
      ? fc.constantFrom<string[]>([`--${name}`], [`--no-${name}`], [`--${name}=false`])
      : fc
          .tuple(choices ? fc.constantFrom(...choices) : value, fc.boolean())
          .map(([given, apart]) => (apart ? [`--${name}`, given] : [`--${name}=${given}`])),
  );
const letters = options.flatMap(([, option]) =>
  aliasesOf(option).filter((each) => each.length === 1),
);
const cluster = fc
  .tuple(
    fc.array(fc.constantFrom(...letters, "z"), { minLength: 1, maxLength: 3 }),
    fc.constantFrom("", "x", "=x", "=true"),
    value,
  )
  .map(([each, attached, next]) => [`-${each.join("")}${attached}`, next]);
const other = fc.constantFrom(["--"], ["-"], ["-0"], ["/"], ["--help"], ["--nothing"], [""]);
const line = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: long },
      { weight: 3, arbitrary: cluster },
      { weight: 1, arbitrary: other },
    ),
    { maxLength: 5 },
  )
  .map((parts) => [...parts.flat(), "rootfs", "-e", "x", "--", "rootfs"]);

test("a line that the parser takes has the same words to the finder", () => {
  const program = printer();
  let taken = 0;
  fc.assert(
    fc.property(line, (each) => {
      const wanted = parsed(each);
      if (wanted === null) return;
      taken += 1;
      const { stdout, status } = spawnSync(program, ["run", ...each], {
        encoding: "utf8",
      });
      assert.equal([status, stdout], [0, wanted], JSON.stringify(each));
    }),
    { numRuns: 2000 },
  );
  assert.ok(taken > 200, `${taken} lines`);
});

test("no ROOTFS, or no value: no words", () => {
  const program = printer();
  for (const each of [[], ["--"], ["-t"], ["--user"], ["-u"], ["--user=0"]]) {
    assert.is(spawnSync(program, ["run", ...each]).status, 1, each.join(" "));
  }
});

test.run();

/** Reading the logs of kept sandboxes. */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { closeLog, type Log, openLog, type Piece, readLog } from "../../../launch/life/log.js";
import { temporaryDirectory } from "../../support/inside.js";
import { suite } from "../../support/suite.js";

const test = suite("log");

const time = "2026-11-21T19:47:00.123456789Z";
const whole = (text: string, stream = "stdout") => `${time} ${stream} F ${text}\n`;
const part = (text: string, stream = "stdout") => `${time} ${stream} P ${text}\n`;

/** A directory with these files. */
function logOf(files: Record<string, string | Buffer>): string {
  const directory = temporaryDirectory("log");
  for (const [name, content] of Object.entries(files)) {
    fs.writeFileSync(join(directory, name), content);
  }
  return directory;
}

function textOf(pieces: Iterable<Piece>): string {
  return [...pieces].map(({ bytes }) => bytes.toString("latin1")).join("");
}

/** All that a fresh look at the directory gives. */
function read(directory: string, tailLines: number | null = null): string {
  const log = openLog(directory, tailLines);
  try {
    return textOf(readLog(log));
  } finally {
    closeLog(log);
  }
}

test("gives the bytes back as they were written, the oldest file first", () => {
  const binary = Buffer.from([0, 255, 27, 13, 128]).toString("latin1");
  const directory = logOf({
    "log.2": whole("one"),
    "log.1": part("tw") + whole("o"),
    log: Buffer.from(whole("") + whole("err", "stderr") + whole(binary) + part("end"), "latin1"),
  });
  assert.is(read(directory), `one\ntwo\n\nerr\n${binary}\nend`);
  const log = openLog(directory);
  const streams = [...readLog(log)].map(({ stream }) => stream);
  assert.is(streams.indexOf("stderr"), 4);
  assert.is(log.isTorn, false);
  closeLog(log);
});

test("passes over what is no log", () => {
  const directory = logOf({
    "log.4": whole("not reached: log.2 and log.3 are missing"),
    log: [
      "garbage\n",
      `${time} stdin F no such stream\n`,
      `${time} stdout X no such kind\n`,
      `${time.replace("Z", "\x1b")} stdout F no such time\n`,
      `${"x".repeat(200_000)}\n`,
      whole("kept"),
      `${time} stdout F being writ`,
    ].join(""),
  });
  execFileSync("mkfifo", [join(directory, "log.1")]);
  assert.is(read(directory), "kept\n");
  assert.is(read(directory, 1), "kept\n");
  fs.unlinkSync(join(directory, "log.1"));
  fs.symlinkSync("/dev/zero", join(directory, "log.1"));
  assert.is(read(directory), "kept\n");
  fs.unlinkSync(join(directory, "log"));
  fs.mkdirSync(join(directory, "log"));
  assert.is(read(directory), "");
  assert.is(read(join(directory, "absent")), "");
});

test("the last lines are the same as if all had been read", () => {
  const lines: string[] = [];
  for (let n = 0; n < 3000; n++) lines.push(`${n} ${"-".repeat((n * 7919) % 171)}`);
  const text = lines.map((line, n) =>
    n % 5 === 0 ? part(line.slice(0, 2)) + whole(line.slice(2)) : whole(line),
  );
  const directory = logOf({
    "log.1": text.slice(0, 1400).join(""),
    log: text.slice(1400).join(""),
  });
  for (const count of [0, 1, 2, 299, 300, 1599, 1600, 1601, 2999, 3000, 5000]) {
    const expected = count === 0 ? [] : lines.slice(-count);
    assert.is(read(directory, count), expected.map((line) => `${line}\n`).join(""), `${count}`);
  }
  // An unfinished line is one.
  fs.appendFileSync(join(directory, "log"), part("un") + part("finished"));
  assert.is(read(directory, 1), "unfinished");
  assert.is(read(directory, 2), `${lines.at(-1)}\nunfinished`);
});

test("only the end of a large file is read for its last lines", () => {
  const directory = logOf({ log: "" });
  // 1 TB of nothing, which takes no room, in front of it.
  fs.truncateSync(join(directory, "log"), 2 ** 40);
  fs.appendFileSync(join(directory, "log"), `\n${whole("one")}${whole("two")}${whole("three")}`);
  assert.is(read(directory, 2), "two\nthree\n");
});

test("loses and repeats nothing while files are rotated", () => {
  // A small generator, so that a failure can be seen again.
  let seed = 1;
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  const directory = logOf({});
  const path = (n: number) => join(directory, n === 0 ? "log" : `log.${n}`);
  const log = openLog(directory);
  let [written, got, tail] = ["", "", ""];
  const look = () => {
    got += textOf(readLog(log));
    assert.ok(log.files.length <= 1);
  };
  for (let n = 0; n < 5000; n++) {
    const line = whole(`line ${n}`);
    // Nothing, or the beginning of it, is there when somebody looks.
    const cut = random(4) === 0 ? random(line.length) : line.length;
    fs.appendFileSync(path(0), line.slice(0, cut));
    if (cut < line.length) look();
    fs.appendFileSync(path(0), line.slice(cut));
    written += `line ${n}\n`;
    if (random(3) === 0) look();
    if (random(10) !== 0) continue;
    for (let number = 3; number >= 0; number--) {
      if (fs.existsSync(path(number))) fs.renameSync(path(number), path(number + 1));
      if (random(8) === 0) look();
    }
    // More often than it is rotated away.
    look();
  }
  look();
  assert.is(got, written);
  assert.is(log.isTorn, false);

  tail = whole("seen");
  for (let number = 0; number < 5; number++) fs.writeFileSync(`${path(number)}.new`, tail);
  for (let number = 0; number < 5; number++) fs.renameSync(`${path(number)}.new`, path(number));
  assert.is(textOf(readLog(log)), "seen\n".repeat(5));
  assert.is(log.isTorn, true, "what it had open is gone");
  closeLog(log);
});

test("leaves no file open", () => {
  const open = () => fs.readdirSync("/proc/self/fd").length;
  const before = open();
  const directory = logOf({ log: whole("a"), "log.1": whole("b"), "log.2": whole("c") });
  read(directory);
  read(directory, 1);
  const log: Log = openLog(directory, 3);
  for (const _ of readLog(log)) break;
  closeLog(log);
  assert.is(open(), before);
});

test.run();

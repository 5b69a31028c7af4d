/** `sbx logs`, of sandboxes whose files a test writes. */
import { spawn } from "node:child_process";
import { appendFileSync, closeSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { readTime } from "../../cmd/times.js";
import { type Kept, lockKept } from "../../launch/life/kept.js";
import { createKept } from "../../launch/life/kept-create.js";
import { defaultSpec } from "../../spec/default.js";
import type { LogKeys } from "../../spec/life.js";
import { temporaryDirectory } from "../support/inside.js";
import { command, sbx } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("logs");
const home = temporaryDirectory("logs");
process.env.XDG_DATA_HOME = home;
process.env.XDG_RUNTIME_DIR = temporaryDirectory("run");

function keep(name: string, log: LogKeys | null = { maxSizeBytes: 1e6, maxFiles: 3 }) {
  return createKept(
    join(home, "sbx"),
    name,
    () => false,
    (_, place) => {
      const spec = defaultSpec("/");
      const life = {
        ...place,
        stdin: false,
        restart: { name: "no" as const },
        log,
        removeAtEnd: false,
      };
      return { ...spec, sbx: { ...spec.sbx, name, life } };
    },
  );
}

const entry = (second: number, text: string, stream = "stdout", kind = "F") =>
  `2026-01-01T00:00:0${second}.000000000Z ${stream} ${kind} ${text}\n`;

function write({ directory }: Kept, text: string): void {
  appendFileSync(join(directory, "log"), text);
}

test("gives each stream to its own, with times where they are asked for", async () => {
  const kept = await keep("web");
  write(kept, entry(1, "one") + entry(2, "err", "stderr") + entry(3, "t", "stdout", "P"));
  write(kept, entry(4, "wo") + entry(5, "end", "stdout", "P"));
  const plain = await sbx(["logs", "web"]);
  assert.equal([plain.code, plain.stdout, plain.stderr], [0, "one\ntwo\nend", "err\n"]);
  const timed = await sbx(["logs", "-t", "--tail=2", "web"]);
  assert.is(timed.stdout, "2026-01-01T00:00:03.000000000Z two\n2026-01-01T00:00:05.000000000Z end");
  const between = await sbx([
    "logs",
    "--since=2026-01-01T00:00:02Z",
    "--until=1767225602.5",
    "web",
  ]);
  assert.equal([between.stdout, between.stderr], ["", "err\n"]);
  assert.is((await sbx(["logs", "--since=10m", "web"])).stdout, "");
});

test("tells several in the order of time, with their names", async () => {
  const [one, other] = [await keep("one"), await keep("longer")];
  write(one, entry(1, "a") + entry(4, "d", "stdout", "P"));
  write(other, entry(2, "b") + entry(3, "c") + entry(5, "e"));
  const { stdout } = await sbx(["logs", "--names", "one", "longer"]);
  assert.is(stdout, "one    a\nlonger b\nlonger c\none    d\nlonger e\n");
  const absent = await sbx(["logs", "absent", "one"]);
  assert.is(absent.code, 1);
  assert.is(absent.stdout, "a\nd");
  assert.match(absent.stderr, /^sbx: find the sandbox absent: [^\n]*\n$/);
});

test("tells programs all of each line, whatever bytes it has", async () => {
  const kept = await keep("told");
  write(kept, entry(1, "ä\\") + entry(2, "half", "stderr", "P"));
  const head = entry(3, "").slice(0, -1);
  appendFileSync(join(kept.directory, "log"), Buffer.from(`${head}\xff\n`, "latin1"));
  const { stdout, stderr } = await sbx(["logs", "--json", "told"]);
  assert.is(stderr, "");
  const lines = stdout.trimEnd().split("\n");
  const of = (second: number) => ({
    sandbox: "told",
    time: `2026-01-01T00:00:0${second}.000000000Z`,
  });
  assert.equal(
    lines.map((line) => JSON.parse(line)),
    [
      { ...of(1), stream: "stdout", isPartial: false, text: "ä\\" },
      { ...of(2), stream: "stderr", isPartial: true, text: "half" },
      { ...of(3), stream: "stdout", isPartial: false, base64: "/w==" },
    ],
  );
});

test("follows until the sandbox has ended, over a rotation", async () => {
  const kept = await keep("followed");
  write(kept, entry(1, "before"));
  const lock = await lockKept(kept.directory);
  if (typeof lock !== "number") throw new Error(lock);
  const child = spawn(command, ["logs", "--follow", "followed"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  const ended = new Promise((resolve) => child.on("close", resolve));
  const until = async (text: string) => {
    while (!out.endsWith(text)) await sleep(10);
  };
  await until("before\n");
  write(kept, entry(2, "live"));
  await until("live\n");
  renameSync(join(kept.directory, "log"), join(kept.directory, "log.1"));
  write(kept, entry(3, "rotated"));
  await until("rotated\n");
  // With --rm, the directory goes at the end.
  write(kept, entry(4, "last"));
  rmSync(kept.directory, { recursive: true });
  closeSync(lock);
  assert.is(await ended, 0);
  assert.is(out, "before\nlive\nrotated\nlast\n");
});

test("what has no log, or is no value of an option, is an error with its mend", async () => {
  await keep("silent", null);
  for (const [words, expected] of [
    [["silent"], "sbx: logs silent: it was made with --log-driver=none\n"],
    [[], "sbx: logs: no sandbox is named. The form is sbx logs NAME…\n"],
    [["-n", "x", "web"], "sbx: --tail x: is no number of lines. Give a number, or all\n"],
  ] as const) {
    assert.is((await sbx(["logs", ...words])).stderr, expected);
  }
  const { stderr } = await sbx(["logs", "--since", "yesterday", "web"]);
  assert.match(stderr, /^sbx: --since yesterday: is no time\. Give 2026-11-21T20:15:00Z, .*\n$/);
});

test("times are dates, seconds since 1970, or how long ago", () => {
  const now = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
  const local = (...parts: [number, number, number, number?]) =>
    `${new Date(...parts).toISOString().slice(0, 19)}.000000000Z`;
  for (const [text, expected] of [
    ["2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456789Z"],
    ["2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05.000000000Z"],
    ["2026-01-02T03:04Z", "2026-01-02T03:04:00.000000000Z"],
    ["2026-01-02", local(2026, 0, 2)],
    ["2026-01-02T03", local(2026, 0, 2, 3)],
    ["0", "1970-01-01T00:00:00.000000000Z"],
    ["1767323045.000000001", "2026-01-02T03:04:05.000000001Z"],
    ["1.5h", "2026-01-02T01:34:05.678000000Z"],
    ["1h30m5s", "2026-01-02T01:34:00.678000000Z"],
    ["678ms", "2026-01-02T03:04:05.000000000Z"],
  ] as const) {
    assert.is(readTime("--since", text, now), expected, text);
  }
  for (const text of [
    "",
    "x",
    "1d",
    "-1",
    "2026-13-01",
    "2026-01-02T25:00",
    "9999999h",
    "999999999999",
  ]) {
    assert.throws(() => readTime("--since", text, now), /is no time/, text);
  }
});

test.run();

/** What `sbx ps` tells, and which sandboxes its filters choose. */
import * as assert from "uvu/assert";
import { ageText, psFieldNames, psFields } from "../../cmd/ps-fields.js";
import { asksForStopped, readFilters } from "../../cmd/view-filters.js";
import type { SandboxView } from "../../launch/life/sandboxes.js";
import { defaultSpec } from "../../spec/default.js";
import { suite } from "../support/suite.js";

const test = suite("cmd/ps");
const nowMs = Date.UTC(2026, 10, 21, 12);

function view(name: string, more: Partial<SandboxView> = {}): SandboxView {
  return {
    id: name.padEnd(12, "0"),
    name,
    status: "exited",
    createdMs: nowMs - 7_200_000,
    startedMs: nowMs - 180_000,
    finishedMs: nowMs - 5000,
    exitCode: 3,
    oom: false,
    error: null,
    restarts: 0,
    labels: {},
    spec: defaultSpec("/"),
    record: null,
    kept: null,
    ...more,
  };
}

test("durations are docker's", () => {
  const texts: readonly (readonly [number, string])[] = [
    [0, "Less than a second"],
    [1, "1 second"],
    [59, "59 seconds"],
    [60, "About a minute"],
    [120, "2 minutes"],
    [3600, "About an hour"],
    [7200, "2 hours"],
    [47 * 3600, "47 hours"],
    [48 * 3600, "2 days"],
    [14 * 86_400, "2 weeks"],
    [61 * 86_400, "2 months"],
    [800 * 86_400, "2 years"],
  ];
  for (const [seconds, text] of texts) assert.is(ageText(seconds * 1000), text);
});

test("the status says how long, and how it ended", () => {
  const status = (more: Partial<SandboxView>) => psFields(view("a", more), nowMs).Status;
  assert.is(status({}), "Exited (3) 5 seconds ago");
  assert.is(status({ status: "running" }), "Up 3 minutes");
  assert.is(status({ status: "paused" }), "Up 3 minutes (Paused)");
  assert.is(status({ status: "restarting" }), "Restarting (3) 5 seconds ago");
  assert.is(status({ status: "created" }), "Created");
});

test("no text of a sandbox steers a terminal, and templates know all fields", () => {
  const base = defaultSpec("/\x1b[2J");
  const spec = { ...base, process: { ...base.process, args: ["a\nb", "\x9b"] } };
  const fields = psFields(view("a", { spec }), nowMs);
  assert.is(fields.Command, "a\\x0ab \\x9b");
  assert.is(fields.Rootfs, "/\\x1b[2J");
  assert.equal(Object.keys(fields), psFieldNames);
});

test("of a key one value must hold, of labels all", () => {
  const all = [
    view("aa", { labels: { x: "1", y: "2" }, status: "running", exitCode: null, createdMs: 1 }),
    view("ab", { labels: { x: "1" }, createdMs: 2 }),
    view("bc", { exitCode: 0, createdMs: 3 }),
  ];
  const chosen = (...words: string[]) =>
    all.filter(readFilters(words, all)).map(({ name }) => name);
  assert.equal(chosen(), ["aa", "ab", "bc"]);
  assert.equal(chosen("name=a"), ["aa", "ab"]);
  assert.equal(chosen("name=aa", "name=bc"), ["aa", "bc"]);
  assert.equal(chosen("name=a", "status=exited"), ["ab"]);
  assert.equal(chosen("name=^b", "name=^/a[^b]$"), ["aa", "bc"]);
  assert.throws(() => chosen("name=["), /--filter name=\[: is no regular expression/);
  assert.equal(chosen("label=x=1", "label=y"), ["aa"]);
  assert.equal(chosen("label=y=1"), []);
  assert.equal(chosen("label=toString"), []);
  assert.equal(chosen("exited=0"), ["bc"]);
  assert.equal(chosen("before=bc"), ["aa", "ab"]);
  assert.equal(chosen("since=aa", "id=0000"), ["ab", "bc"]);
  assert.equal(chosen("network=auto"), ["aa", "ab", "bc"]);
  assert.equal(chosen("volume=/dev/shm"), ["aa", "ab", "bc"]);
  assert.equal(chosen("until=1"), ["aa", "ab", "bc"]);
  assert.equal(chosen("until=0"), []);
  assert.throws(() => chosen("nme=x"), /no such key: nme\. Did you mean name\?/);
  assert.throws(() => chosen("name"), /must be KEY=VALUE/);
  assert.throws(() => chosen("status=stopped"), /must be created/);
  assert.throws(() => chosen("before=none"), /none of that name/);
  assert.ok(asksForStopped(["label=x", "status=created"]));
  assert.not(asksForStopped(["name=status=x"]));
});

test.run();

/** The programs of docs/examples, as they are. */
import * as fs from "node:fs";
import { userInfo } from "node:os";
import { join, resolve } from "node:path";
import * as assert from "uvu/assert";
import { temporaryDirectory } from "../support/inside.js";
import { start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("examples");
const needs = ["unprivileged", "user namespaces", "fuse-overlayfs"] as const;
const directory = temporaryDirectory("examples");

const example = (name: string, words: readonly string[], cwd = directory) =>
  start([process.execPath, resolve("docs/examples", name), ...words], { cwd, timeoutMs: 120_000 });

test.needs(needs, "an agent's command changes nothing, and what it would is told", async () => {
  // Not in /tmp, which is an empty one inside.
  const project = fs.mkdtempSync(join(userInfo().homedir, ".sbx-example-"));
  fs.writeFileSync(join(project, "a"), "a");
  const script = "rm a; echo x >b; echo said";
  const { code, stdout, stderr } = await example("agent-exec.mjs", ["sh", "-c", script], project);
  assert.is(code, 0, stderr);
  assert.is(stdout, `said\n-- exited with 0; ${project} would have\n   deleted a\n   added b\n`);
  assert.equal(fs.readdirSync(project), ["a"]);
  fs.rmSync(project, { recursive: true });
});

test.needs(needs, "a hundred programs are judged at once", async () => {
  const { code, stdout, stderr } = await example("judge.mjs", []);
  assert.is(code, 0, stderr);
  const lines = stdout.trim().split("\n").sort();
  assert.equal(lines, ["20 failed (1)", "20 right", "20 signalled", "20 too slow", "20 wrong"]);
});

test.needs(needs, "a build step reads its sources and writes its output alone", async () => {
  const [sources, output] = [join(directory, "sources"), join(directory, "output")];
  fs.mkdirSync(sources);
  fs.writeFileSync(join(sources, "f"), "text");
  const words = [sources, output, "sh", "-c", 'cp f "$OUT/g"; ! echo x >g'];
  const { code, stderr } = await example("build-step.mjs", words);
  assert.is(code, 0, stderr);
  assert.match(stderr, "Read-only file system");
  assert.is(fs.readFileSync(join(output, "g"), "utf8"), "text");
});

test.run();

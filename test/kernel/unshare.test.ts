/** `sbx unshare`: the id map of a sandbox, and nothing else of one. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { inside, temporaryDirectory } from "../support/inside.js";
import { outerShell } from "../support/outer-shell.js";
import { sbx } from "../support/sandbox.js";
import { suite } from "../support/suite.js";
import { leftNaming } from "../support/until.js";

const test = suite("unshare");
const needs = ["unprivileged", "user namespaces"] as const;

test.needs([...needs, "busybox"], "the ids are those of a sandbox", async () => {
  for (const options of [[], ["--userns=single"]]) {
    const look = "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id -u; id -g";
    const { stdout } = await sbx(["unshare", ...options, "sh", "-c", look]);
    assert.is(stdout, await inside(options, look));
  }
});

test.needs(needs, "files, processes, directory and environment are the caller's", async () => {
  const cwd = fs.realpathSync(temporaryDirectory("unshare"));
  const words = [
    "sh",
    "-c",
    'pwd; echo "$MARK"; readlink /proc/self/ns/mnt /proc/self/ns/pid; cat',
  ];
  const { stdout } = await sbx(["unshare", ...words], { cwd, env: { MARK: "m" }, input: "in" });
  const own = ["mnt", "pid"].map((name) => fs.readlinkSync(`/proc/self/ns/${name}`));
  assert.is(stdout, [cwd, "m", ...own, "in"].join("\n"));
});

test.needs(needs, "its end is the command's", async () => {
  const end = async (script: string) => {
    const { code, signal } = await sbx(["unshare", "sh", "-c", script]);
    return [code, signal];
  };
  assert.equal(await end("exit 7"), [7, null]);
  assert.equal(await end("kill -TERM $$"), [null, "SIGTERM"]);
  const { code, stderr } = await sbx(["unshare", "/nowhere/command"]);
  assert.is(code, 127);
  assert.match(
    stderr,
    /^sbx: run \/nowhere\/command: No such file or directory \(ENOENT\)\. Give a path/,
  );
});

test.needs(needs, "without a command it is $SHELL", async () => {
  const { stdout } = await sbx(["unshare"], { input: "id -u", env: { SHELL: "/bin/sh" } });
  assert.is(stdout, "0\n");
});

test.needs(
  [...needs, "subids"],
  "files of other ids are handled, and stay where they are",
  async () => {
    const file = join(temporaryDirectory("unshare-ids"), "file");
    fs.writeFileSync(file, "text", { mode: 0o600 });
    await sbx(["unshare", "chown", "1000:1000", file]);
    assert.is.not(fs.statSync(file).uid, process.getuid?.());
    assert.throws(() => fs.readFileSync(file), /EACCES/);
    assert.is((await sbx(["unshare", "cat", file])).stdout, "text");
  },
);

test.needs(needs, "a map without a root is refused, and helpers that refuse are", async () => {
  const own = `5:${process.getuid?.()}:1`;
  const { code, stderr } = await sbx(["unshare", `--uidmap=${own}`, "true"]);
  assert.is(code, 125);
  assert.match(
    stderr,
    /^sbx: become root with this id map: uid 0 or gid 0 has no id outside\. [^\n]+\n$/,
  );
});

test.needs([...needs, "tmux", "bash"], "a shell in the terminal has job control", async () => {
  const mark = `sleep 98${process.pid}.5`;
  await outerShell("/", async (terminal) => {
    await terminal.enter('"$sbx" unshare bash --norc --noprofile -i');
    await terminal.enter("PS1='in''ner> '");
    await terminal.waitFor("inner>");
    await terminal.enter(`sh -c 'echo be''gun; exec ${mark}'`);
    // ^Z throws away what was typed and not yet read. A shell that it finds in vfork(2) would not stop.
    await terminal.waitFor("begun");
    await terminal.press("C-z");
    await terminal.waitFor("Stopped");
    await terminal.enter("id -u; tty; fg");
    await terminal.waitFor("/dev/pts/");
    await terminal.press("C-c");
    await terminal.enter("exit 3");
    await terminal.enter("echo status $?");
    await terminal.waitFor("status 3");
  });
  assert.equal(await leftNaming(mark), []);
});

test.run();

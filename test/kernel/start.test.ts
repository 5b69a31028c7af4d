/** `sbx start` and `sbx restart`: kept sandboxes, several in one call, and what cannot be started. */
import * as assert from "uvu/assert";
import { callersPlaces, listViews } from "../../launch/life/sandboxes.js";
import { temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { sbx } from "../support/sandbox.js";
import { suite } from "../support/suite.js";
import { until } from "../support/until.js";

const test = suite("start and restart");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
process.env.XDG_RUNTIME_DIR = temporaryDirectory("start-run");
process.env.XDG_DATA_HOME = temporaryDirectory("start-data");

async function make(name: string, script: string, ...more: string[]): Promise<void> {
  const options = ["--userns=single", "--network=none", "--name", name, ...more];
  const { code, stderr } = await sbx(["create", ...options, busyboxRootfs(), "sh", "-c", script]);
  assert.equal([code, stderr], [0, ""]);
}
async function viewOf(name: string) {
  const { views } = await listViews(callersPlaces(process.env));
  return views.find((view) => view.name === name);
}
async function ended(name: string) {
  const status = async () => (await viewOf(name))?.status ?? "exited";
  await until(`${name} has ended`, async () => (await status()) === "exited");
  return viewOf(name);
}

test.needs(
  needs,
  "several at once, those that run already among them; their files stay",
  async () => {
    await make("one", "echo start >>/var/log/starts; cat /var/log/starts; sleep 60");
    await make("two", "sleep 60");
    const first = await sbx(["start", "two"]);
    assert.equal([first.code, first.stdout, first.stderr], [0, "two\n", ""]);
    const pid = (await viewOf("two"))?.record?.monitor;
    const both = await sbx(["start", "one", "absent", "two"]);
    assert.equal([both.code, both.stdout.split("\n").sort()], [1, ["", "one", "two"]]);
    assert.match(both.stderr, /^sbx: find the sandbox absent: there is none of that name or ID/);
    assert.is((await viewOf("two"))?.record?.monitor, pid);
    const said = async () => (await sbx(["logs", "one"])).stdout;
    await until("it has said so", async () => (await said()) === "start\n");
    const again = await sbx(["restart", "-t", "0", "one", "two", "one"]);
    assert.equal([again.code, again.stderr], [0, ""]);
    assert.is.not((await viewOf("two"))?.record?.monitor, pid);
    await until("it has said so again", async () => (await said()) === "start\n".repeat(3));
    const end = await sbx(["stop", "-t", "0", "one", "two", "one"]);
    assert.equal([end.code, end.stdout.split("\n").sort()], [0, ["", "one", "two"]]);
  },
);

test.needs(needs, "one that cannot start says why, and stays as it was", async () => {
  await make("lost", "true", "--entrypoint", "/no/such");
  const { code, stdout, stderr } = await sbx(["start", "lost"]);
  assert.equal([code, stdout], [127, ""]);
  assert.match(stderr, /^sbx: run \/no\/such: No such file or directory \(ENOENT\)/);
  const view = await viewOf("lost");
  assert.equal([view?.status, view?.exitCode], ["exited", 127]);
  assert.match(view?.error ?? "", /^run \/no\/such: /);
});

test.needs(
  needs,
  "what is gone with its end cannot be restarted, and no name is an error",
  async () => {
    await make("brief", "sleep 60", "--rm");
    await sbx(["start", "brief"]);
    const { code, stderr } = await sbx(["restart", "brief"]);
    assert.is(code, 1);
    assert.match(stderr, /^sbx: restart brief: nothing of it is kept when it ends/);
    assert.is((await viewOf("brief"))?.status, "running");
    await sbx(["stop", "-t", "0", "brief"]);
    assert.is(await ended("brief"), undefined);
    for (const word of ["start", "restart"]) {
      const none = await sbx([word]);
      assert.is(none.code, 125);
      assert.match(none.stderr, new RegExp(`^sbx: ${word}: no sandbox is named. The form is sbx`));
    }
  },
);

test.needs(
  [...needs, "subids"],
  "on a network, started again before its holder has ended",
  async () => {
    assert.is((await sbx(["network", "create", "again"])).code, 0);
    const words = ["run", "-d", "--name", "again", "--restart=on-failure:4", "--network", "again"];
    const { code, stderr } = await sbx([
      ...words,
      busyboxRootfs(),
      "sh",
      "-c",
      "ip addr show eth0; exit 1",
    ]);
    assert.equal([code, stderr], [0, ""]);
    assert.is((await ended("again"))?.restarts, 4);
    const said = await sbx(["logs", "again"]);
    assert.equal([said.stderr, said.stdout.match(/inet 10\./g)?.length], ["", 5]);
  },
);

test.run();

/** The commands that make, list, show, rename and remove sandboxes that are kept. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { derivedName } from "../../launch/life/names.js";
import { temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { command, sbx, start } from "../support/sandbox.js";
import { started } from "../support/started.js";
import { suite } from "../support/suite.js";

const test = suite("kept sandboxes");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
// The sandboxes of other test files are not to be found here.
const data = temporaryDirectory("kept-commands");
process.env.XDG_DATA_HOME = data;
process.env.XDG_RUNTIME_DIR = temporaryDirectory("kept-commands-run");

/** What the command prints; fails where it does not end well. */
async function ok(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await sbx(words);
  assert.equal([code, stderr], [0, ""], words.join(" "));
  return stdout;
}
/** What it says as it fails with 125, or with 1 where several are tried. */
async function refusal(...words: string[]): Promise<string> {
  const { code, stderr } = await sbx(words);
  assert.ok(code === 125 || code === 1, `${words.join(" ")}: ${code}`);
  return stderr;
}
const script = (text: string) => [busyboxRootfs(), "sh", "-c", text];
const format = async (name: string, template: string) =>
  (await ok("inspect", name, "--format", template)).trim();
const directories = () => fs.readdirSync(join(data, "sbx/sandboxes")).sort();
const names = () => fs.readdirSync(join(data, "sbx/names")).sort();

// What a test that failed has left is none of the next one's.
test.before.each(async () => {
  const left = fs.existsSync(join(data, "sbx/sandboxes")) ? directories() : [];
  if (left.length > 0) await sbx(["rm", "-f", ...left]);
});

test.needs(needs, "what is made is there until it is removed", async () => {
  const idFile = join(data, "id");
  const id = (await ok("create", "--name=web", "--cidfile", idFile, ...script("true"))).trim();
  assert.match(id, /^[0-9a-f]{12}$/);
  assert.is(fs.readFileSync(idFile, "utf8"), id);
  assert.equal([directories(), names()], [[id], [".lock", "web"]]);
  const other = (await ok("create", ...script("true"))).trim();
  assert.is(
    await ok("ps", "-a", "--format={{.Names}} {{.Status}}"),
    `${derivedName(other)} Created\nweb Created\n`,
  );
  assert.is(await ok("ps", "-q"), "");
  assert.is(await ok("ps", "-aq", "-l"), `${other}\n`);
  assert.is(await ok("rm", "web", other.slice(0, 6), id), `web\n${derivedName(other)}\n`);
  assert.equal([directories(), names()], [[], [".lock"]]);
});

test.needs(needs, "a file that cannot be written is told of in a line", async () => {
  const id = (await ok("create", "--name=web", ...script("true"))).trim();
  const limited = ["sh", "-c", 'ulimit -f 0; exec "$@"', "0", command, "rename", "web", "shop"];
  const { code, stderr } = await start(limited);
  assert.is(code, 125);
  assert.match(stderr, /^sbx: rename: EFBIG: file too large, write\n$/);
  assert.equal([directories(), names()], [[id], [".lock", "web"]]);
});

test.needs(needs, "what another command has for a moment is removed after that", async () => {
  const id = (await ok("create", "--name=web", ...script("true"))).trim();
  const lock = join(data, "sbx/sandboxes", id, "lock");
  const holder = spawn("flock", [lock, "sh", "-c", "echo held; sleep 1"]);
  await once(holder.stdout, "data");
  assert.is(await ok("rm", "web"), "web\n");
  assert.equal(directories(), []);
});

test.needs(needs, "what cannot be made leaves nothing", async () => {
  const idFile = join(data, "id2");
  await ok("create", "--name=web", ...script("true"));
  const before = [directories(), names()];
  assert.match(await refusal("create", "--name=web", ...script("true")), /--name web: a sandbox/);
  const wrong = ["create", "--cidfile", idFile, "/nowhere", "true"];
  assert.match(await refusal(...wrong), /\/nowhere.*ENOENT/);
  assert.match(await refusal("run", "-d", ...wrong.slice(1)), /\/nowhere.*ENOENT/);
  assert.not(fs.existsSync(idFile));
  fs.writeFileSync(idFile, "mine");
  assert.match(await refusal("create", "--cidfile", idFile, ...script("true")), /is there already/);
  assert.is(fs.readFileSync(idFile, "utf8"), "mine");
  assert.match(await refusal("create", "--restart=always", "--rm", "/"), /--rm/);
  assert.match(await refusal("run", "--stop-signal=INT", "/", "true"), /Give --detach/);
  assert.equal([directories(), names()], before);
  await ok("rm", "web");
});

test.needs(needs, "a running one is listed, shown and known by another name", async () => {
  const id = (
    await ok(
      "run",
      "-d",
      "--name=web",
      "-l",
      "tier=front",
      ...script("echo x >/new; exec sleep 60"),
    )
  ).trim();
  const [shown] = JSON.parse(await ok("inspect", "web"));
  assert.equal([shown.Id, shown.Name, shown.State.Status], [id, "web", "running"]);
  assert.is(shown.Config.Labels.tier, "front");
  const { UpperDir, LowerDir, MergedDir } = shown.GraphDriver.Data;
  assert.is(UpperDir, join(data, "sbx/sandboxes", id, "upper"));
  assert.is(LowerDir, busyboxRootfs());
  assert.is(fs.readFileSync(join(MergedDir, "new"), "utf8"), "x\n");
  const inode = (link: string) => Number(/\d+/.exec(fs.readlinkSync(link))?.[0]);
  const command = MergedDir.replace("/root", "/ns");
  assert.is(shown.Namespaces.network, inode(join(command, "net")));
  assert.is(shown.Namespaces.user, inode(join(command, "user")));
  assert.is(shown.Namespaces.time, inode("/proc/self/ns/time"));
  assert.is(shown.UidMappings[0].hostID, process.getuid?.());
  assert.ok(shown.Plan.length > 10 && shown.PlanError === undefined, shown.PlanError);

  await ok("rename", "web", "shop");
  assert.equal(
    [await ok("ps", "-q", "--filter=label=tier"), names()],
    [`${id}\n`, [".lock", "shop"]],
  );
  assert.match(await refusal("inspect", "web"), /none of that name or ID\. There are shop/);
  assert.match(await ok("diff", "shop"), /^A +2 B +new\n1 added/);
  assert.is(await format(id.slice(0, 5), "{{.Name}} {{.State.Running}}"), "shop true");

  assert.match(await refusal("rm", "shop"), /remove shop: it is running\. Stop it first/);
  await ok("stop", "-t0", "shop");
  assert.match(await format("shop", "{{.State.Status}} {{.State.ExitCode}}"), /^exited 1(37|43)$/);
  assert.match(await refusal("top", "shop"), /it is not running\. Start it: sbx start shop/);
  await ok("start", "shop");
  assert.is(await format("shop", "{{.State.Status}}"), "running");
  assert.is(await ok("rm", "-f", "shop", "absent"), "shop\n");
  assert.equal([directories(), names()], [[], [".lock"]]);
});

test.needs(needs, "names are taken once, of kept and of running ones", async () => {
  await ok("create", "--name=web", ...script("true"));
  await started(["--name=db"], "echo ready; exec sleep 60", async (pid) => {
    assert.match(await refusal("create", "--name=db", ...script("true")), /--name db: a sandbox/);
    assert.match(await refusal("rename", "web", "db"), /of the name db is there already/);
    assert.match(await refusal("rename", "db", "web"), /a sandbox of that name is there already/);
    assert.match(await refusal("run", "--name=web", "/", "true"), /--name web: a sandbox/);
    assert.match(await refusal("rename", "db", "host"), /a name is letters, .* none of .*host/);
    assert.match(await refusal("rename", "web", "web"), /it has that name already/);
    await ok("rename", "db", "store");
    assert.match(await ok("ps"), /"sh -c echo ready; e…" .* store\n/);
    assert.match(await refusal("diff", "store"), /what it writes is not kept/);
    process.kill(pid, "SIGTERM");
  });
  assert.is(await ok("ps", "-q"), "");
  await ok("rm", "web");
});

test.needs(needs, "files of other ids inside are removed with it", async () => {
  const write = "mkdir /d && echo x >/d/f && chown -R 1000:1000 /d && chmod 700 /d";
  await ok("run", "-d", "--name=web", ...script(write));
  await ok("wait", "web");
  assert.is(await format("web", "{{.State.ExitCode}}"), "0");
  assert.match(await ok("diff", "web"), /f\n.* added/);
  assert.is(await ok("rm", "web"), "web\n");
  assert.equal(directories(), []);
});

test.needs(needs, "prune removes what does not run, and asks", async () => {
  await ok("run", "-d", "--name=live", ...script("exec sleep 60"));
  for (const name of ["a", "b"]) await ok("create", "--name", name, "-l", name, ...script("true"));
  assert.match(await refusal("prune"), /nobody is there to be asked\. Give --force/);
  assert.is(await ok("prune", "-f", "--filter=label=b"), "b\n");
  assert.is(await ok("prune", "--force"), "a\n");
  assert.is(await ok("ps", "-a", "--format={{.Names}}"), "live\n");
  await ok("create", "--name=c", ...script("true"));
  assert.match(await refusal("rm", "-a", "c"), /rm --all: names are given too/);
  assert.match(await refusal("rm", "--all"), /remove live: it is running\. Stop it first/);
  assert.equal(directories().length, 1);
  assert.is(await ok("rm", "-af"), "live\n");
  assert.is(await ok("rm", "-a"), "");
});

test.needs(needs, "one that cannot be understood is told of, and can be removed", async () => {
  await ok("create", "--name=web", ...script("true"));
  const id = (await ok("create", "--name=bad", ...script("true"))).trim();
  fs.writeFileSync(join(data, "sbx/sandboxes", id, "config.json"), "{");
  const { code, stdout, stderr } = await sbx(["ps", "-a", "--format={{.Names}}"]);
  assert.equal([code, stdout], [0, "web\n"]);
  assert.match(stderr, new RegExp(`config.json: it is no JSON .* sbx rm ${id}\n$`));
  assert.match(await refusal("inspect", id), /it is no JSON/);
  assert.is((await sbx(["rm", id, "web"])).stdout, `${id}\nweb\n`);
  // The name is nobody's, as the next one sees.
  await ok("ps");
  assert.equal([directories(), names()], [[], [".lock"]]);
});

test.needs(needs, "of many that are made at once each is whole", async () => {
  const all = await Promise.all(
    Array.from({ length: 12 }, (_, index) =>
      sbx(["create", ...(index < 6 ? ["--name=same"] : []), ...script("true")]),
    ),
  );
  const codes = all.map(({ code }) => code).sort();
  assert.equal(codes, [0, 0, 0, 0, 0, 0, 0, 125, 125, 125, 125, 125]);
  assert.is(directories().length, 7);
  assert.is((await ok("ps", "-aq")).trim().split("\n").length, 7);
  assert.is((await ok("prune", "-f")).trim().split("\n").length, 7);
});

test.needs(needs, "kill -9 of create leaves what the next command sweeps", async () => {
  for (let delayMs = 60; delayMs < 160; delayMs += 10) {
    const child = spawn("cmd/sbx", ["create", "--name=web", ...script("true")], {
      detached: true,
      stdio: "ignore",
    });
    await new Promise((done) => setTimeout(done, delayMs));
    if (child.exitCode === null) process.kill(-(child.pid ?? 0), "SIGKILL");
    await sbx(["rm", "-f", "web"]);
  }
  for (const name of directories()) fs.utimesSync(join(data, "sbx/sandboxes", name), 0, 0);
  assert.is(await ok("ps", "-aq"), "");
  assert.equal([directories(), names()], [[], [".lock"]]);
  await ok("create", "--name=web", ...script("true"));
  await ok("rm", "web");
});

test.run();

/** Sandboxes in the background where their places are missing, full, or of before a reboot. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { callersPlaces, listViews } from "../../launch/life/sandboxes.js";
import { temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { command, sbx, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("places of sandboxes");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
const options = ["--userns=single", "--network=none", "--name=it"];
const begin = ["run", "-d", ...options, busyboxRootfs(), "sleep", "60"];

const directory = temporaryDirectory("places");
/** Directories of a test's own, with no trace of the user's. */
function fresh(name: string) {
  const make = (kind: string) => {
    const path = join(directory, `${name}-${kind}`);
    fs.mkdirSync(path, { mode: 0o700 });
    return path;
  };
  return {
    XDG_RUNTIME_DIR: make("run"),
    XDG_DATA_HOME: make("data"),
    XDG_STATE_HOME: make("state"),
  };
}
type Places = Record<"XDG_RUNTIME_DIR" | "XDG_DATA_HOME" | "XDG_STATE_HOME", string | undefined>;

/** `sbx`, which must succeed without a word on stderr. */
async function said(env: Places, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await sbx(words, { env });
  assert.equal([code, stderr], [0, ""], words.join(" "));
  return stdout;
}

test.needs(needs, "without XDG_RUNTIME_DIR all commands find one another", async () => {
  const env = { ...fresh("none"), XDG_RUNTIME_DIR: undefined };
  await said(env, ...begin);
  assert.is(await said(env, "ps", "--format", "{{.Names}} {{.State}}"), "it running\n");
  const [run = ""] = fs.readdirSync(join(env.XDG_STATE_HOME, "sbx"));
  assert.match(run, /^run-[0-9a-f-]{36}$/);
  assert.is(fs.statSync(join(env.XDG_STATE_HOME, "sbx", run)).mode & 0o777, 0o700);
  assert.is(await said(env, "kill", "it"), "it\n");
  assert.match(await said(env, "events", "--no-stream"), /start [0-9a-f]{12} \(name=it\)\n.*die/);
  assert.is(await said(env, "wait", "it"), "137\n");
});

test.needs(needs, "who looks elsewhere for what runs is told so, and ends nothing", async () => {
  const env = fresh("one");
  await said(env, ...begin);
  const elsewhere = { ...env, XDG_RUNTIME_DIR: fresh("other").XDG_RUNTIME_DIR };
  let monitor = 0;
  for (const words of [
    ["stop", "it"],
    ["kill", "it"],
    ["restart", "it"],
    ["rm", "-f", "it"],
  ]) {
    const { code, stdout, stderr } = await sbx(words, { env: elsewhere });
    assert.equal([code, stdout], [1, ""], words.join(" "));
    assert.match(stderr, /it runs, but not by a record in the run directory\. Set XDG_RUNTIME_DIR/);
    monitor = Number(/; where that is gone, .* end it: kill (\d+)$/m.exec(stderr)?.[1]);
  }
  const again = await sbx(["start", "it"], { env: elsewhere });
  assert.is(again.stdout, "it\n");
  process.kill(monitor, "SIGTERM");
  assert.is(await said(env, "wait", "it"), "143\n");
  assert.is(await said(env, "rm", "it"), "it\n");
});

test.needs(needs, "after a reboot what ran has ended, and can be started", async () => {
  const before = fresh("before");
  await said(before, ...begin);
  const places = callersPlaces({ ...process.env, ...before });
  const { views } = await listViews(places);
  process.kill(views[0]?.record?.monitor ?? 0, "SIGKILL");
  const env = { ...before, XDG_RUNTIME_DIR: fresh("after").XDG_RUNTIME_DIR };
  // The kernel lets go of the lock as the monitor dies.
  for (let tries = 0; tries < 100; tries++) {
    if ((await said(env, "ps", "-a", "--format", "{{.State}}")) === "exited\n") break;
  }
  const [{ State } = { State: {} }] = JSON.parse(await said(env, "inspect", "it"));
  assert.is(State.Status, "exited");
  assert.is(State.Error, "its monitor was killed");
  assert.is(await said(env, "wait", "it"), "137\n");
  assert.is(await said(env, "start", "it"), "it\n");
  assert.is(await said(env, "stop", "-t0", "it"), "it\n");
  assert.is(await said(env, "rm", "it"), "it\n");
});

test.needs(
  needs,
  "a full disk keeps nothing from being listed, stopped, waited for and removed",
  async () => {
    const env = fresh("full");
    const script = `
    # A root of the caller's, so that nobody else could put anything in the place of the directories.
    cd "$XDG_STATE_HOME" && mount -t tmpfs -o mode=755 none . && cd "$XDG_STATE_HOME" || exit 9
    for each in /*; do
      if [ -h "$each" ]; then cp -P "$each" .; elif [ -d "$each" ]; then mkdir ".$each" && mount --rbind "$each" ".$each" || exit 9; fi
    done
    mkdir old data run.full && pivot_root . old && cd / && umount -l old || exit 9
    export XDG_DATA_HOME=/data XDG_RUNTIME_DIR=/run.full
    for place in /data /run.full; do mount -t tmpfs -o size=2m,mode=700 none "$place" || exit 9; done
    sbx="$1"; shift
    "$sbx" "$@" >/dev/null || exit 8
    for place in /data /run.full; do cat /dev/zero >"$place/full" 2>/dev/null; done
    "$sbx" ps --format '{{.Names}} {{.State}}'
    "$sbx" kill it
    "$sbx" wait it
    "$sbx" ps -a --format '{{.Names}} {{.State}} {{.ExitCode}}'
    "$sbx" run -d "$3" "$4" --name=other "$6" true; echo "run: $?"
    "$sbx" rm it; echo "rm: $?"
    "$sbx" ps -aq`;
    const words = [
      "unshare",
      "--user",
      "--map-root-user",
      "--mount",
      "sh",
      "-c",
      script,
      "sh",
      command,
    ];
    const { stdout, stderr } = await start([...words, ...begin], { env });
    assert.is(stdout, "it running\nit\n137\nit exited 137\nrun: 125\nit\nrm: 0\n", stderr);
    for (const line of stderr.trim().split("\n")) assert.match(line, /^sbx: .*ENOSPC/);
  },
);

test.run();

/**
 * Nothing outlives its sandbox: after a SIGKILL of the monitor at any moment, and after every other
 * end, no process, mount or directory of it is left. The program is run without the launcher, so
 * that there is nothing but it to be killed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import type { Host } from "../../spec/host.js";
import { compileTo, temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs, copyBusyboxRootfs } from "../support/rootfs.js";
import { entriesOf, mountPoints, processesNaming, start } from "../support/sandbox.js";
import { childrenOf, killIfThere } from "../support/started.js";
import { suite } from "../support/suite.js";

const test = suite("kill");
const plain = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
const full = [...plain, "subids"] as const;

// A name of its own, so that the processes of other tests are not taken for those of this one.
const directory = temporaryDirectory("kill");
const uppers = join(directory, "uppers");
/** In the arguments of every process of the sandboxes; part of no other's. */
const marker = `86${process.pid}.25`;
/** Children, in sessions of their own, that ignore what can be ignored. */
const stubborn = `trap '' HUP INT TERM QUIT; (setsid sleep ${marker} &); for i in 1 2 3; do sleep ${marker} & done; (: >/tmp/left); exec sleep ${marker}`;

const monitor = (program: string, script: string): ChildProcess =>
  spawn(program, ["sh", "-c", script], { stdio: "ignore" });
const ended = (child: ChildProcess) =>
  new Promise<number | null>((done) => child.on("exit", (code) => done(code)));

/** The inits of what was killed, and what serves their files: their arguments tell no more whose they are. */
const children = new Set<number>();

/** Monitor, init, payload, its children, the helpers of the set-up, and fuse-overlayfs. */
function left(program: string): string[] {
  const processes = [
    ...processesNaming(program),
    ...processesNaming(marker),
    ...processesNaming("sbx-init").filter(({ pid }) => children.has(pid)),
    ...processesNaming("fuse-overlayfs").filter(({ pid }) => children.has(pid)),
  ];
  return processes.map(({ pid, commandLine }) => `${pid} ${commandLine}`);
}

async function until(reached: () => boolean): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!reached() && performance.now() < deadline) await sleep(10);
}

/**
 * Whether less than a quarter of the user's quota of keys is used, see keyrings(7): each sandbox has a keyring, and
 * those of many that are killed at once are there until the kernel gets to collect them.
 */
function keysFree(): boolean {
  const users = readFileSync("/proc/key-users", "utf8");
  const own = users.split("\n").find((line) => line.trim().startsWith(`${process.getuid?.()}:`));
  const [used = 0, limit = 1] = (own?.trim().split(/\s+/)[3] ?? "0/1").split("/").map(Number);
  return used < limit / 4;
}

/** Fails where something is still there after a generous time. */
async function assertGone(program: string, mounts: readonly string[]): Promise<void> {
  const found = () => [...left(program), ...entriesOf(uppers)];
  await until(() => found().length === 0);
  assert.equal(found(), []);
  assert.equal(mountPoints(), mounts);
}

/**
 * Kills `count` monitors, four at a time: half of them between the start and the end of a set-up of
 * `setUpMs`, half while the payload runs. With `victim: "child"` it is one of their children instead.
 */
async function killAtRandom(
  program: string,
  count: number,
  setUpMs: number,
  victim: "monitor" | "child" = "monitor",
): Promise<void> {
  const one = async (index: number) => {
    await until(keysFree);
    const child = monitor(program, stubborn);
    const end = ended(child);
    await sleep(Math.random() * setUpMs + (index % 2 === 0 ? 0 : setUpMs));
    // Fails where the monitor has ended by itself: then there was nothing to be killed.
    const begun = childrenOf(child.pid ?? 0);
    for (const pid of begun) children.add(pid);
    const chosen = begun[Math.floor(Math.random() * begun.length)];
    if (victim === "monitor" || chosen === undefined) child.kill("SIGKILL");
    else killIfThere(chosen);
    await end;
  };
  const indices = Array.from({ length: count }, (_, index) => index).values();
  const worker = async () => {
    for (const index of indices) await one(index);
  };
  await Promise.all(Array.from({ length: 4 }, worker));
}

for (const [name, needs, options] of [
  ["a single id", plain, ["--userns=single"]],
  ["the full map", full, []],
  ["the full map, a bare command of another user", full, ["--no-init", "--user=alice"]],
  ["no id of the caller's", full, ["--userns=nomap"]],
] as const) {
  test.needs(needs, `SIGKILL of the monitor at random moments: ${name}`, async () => {
    const mounts = mountPoints();
    const program = await compileTo(join(directory, name.replace(/\W/g, "-")), [
      ...options,
      busyboxRootfs(),
    ]);
    await killAtRandom(program, 100, 25);
    await assertGone(program, mounts);
  });
}

test.needs(plain, "SIGKILL of the init ends the sandbox, with 137", async () => {
  const mounts = mountPoints();
  const program = await compileTo(join(directory, "init"), ["--userns=single", busyboxRootfs()]);
  const child = monitor(program, stubborn);
  const end = ended(child);
  const sleepers = () =>
    processesNaming(marker).filter(({ commandLine }) => commandLine === `sleep ${marker}`);
  await until(() => sleepers().length === 5);
  for (const init of childrenOf(child.pid ?? 0)) process.kill(init, "SIGKILL");
  assert.is(await end, 137);
  await assertGone(program, mounts);
});

// fuse-overlayfs, which lives beside the sandbox.

const served = [...plain, "fuse-overlayfs"] as const;
const fuse = ["--userns=single", "--overlay=fuse"];

for (const victim of ["monitor", "child"] as const) {
  test.needs(served, `fuse-overlayfs: SIGKILL of the ${victim} at random moments`, async () => {
    const mounts = mountPoints();
    const upper = join(directory, `upper-of-${victim}`);
    const program = await compileTo(join(directory, `fuse-${victim}`), [...fuse, busyboxRootfs()]);
    await killAtRandom(program, 100, 30, victim);
    await assertGone(program, mounts);
    const keeping = await compileTo(join(directory, `fuse-upper-${victim}`), [
      ...fuse,
      `--upper=${upper}`,
      busyboxRootfs(),
    ]);
    for (let round = 0; round < 20; round++) {
      const child = monitor(keeping, `: >/kept-${round}; ${stubborn}`);
      const end = ended(child);
      await until(() => existsSync(join(upper, `kept-${round}`)));
      const begun = childrenOf(child.pid ?? 0);
      for (const pid of begun) children.add(pid);
      process.kill((victim === "child" ? begun[round % begun.length] : child.pid) ?? 0, "SIGKILL");
      await end;
      await assertGone(keeping, mounts);
    }
    const { stdout } = await start([keeping, "sh", "-c", "ls / | grep -c ^kept"]);
    assert.is(stdout, "20\n");
  });
}

test.needs(
  served,
  "fuse-overlayfs that is killed ends the sandbox, with a word on it",
  async () => {
    const program = await compileTo(join(directory, "fuse-end"), [...fuse, busyboxRootfs()]);
    const child = spawn(program, ["sh", "-c", `echo; sleep ${marker}`], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const end = ended(child);
    const said = text(child.stderr);
    // While it is set up, what fails for want of files is what is told.
    await once(child.stdout, "data");
    const servers = () =>
      processesNaming("fuse-overlayfs").filter(({ pid }) =>
        childrenOf(child.pid ?? 0).includes(pid),
      );
    for (const { pid } of servers()) process.kill(pid, "SIGKILL");
    assert.is(await end, 125);
    assert.match(await said, /^sbx: start \S*fuse-overlayfs: it ended, and with it all files/);
  },
);

test.needs(
  plain,
  "a kept upper: SIGKILL of the monitor at random moments, and nothing of it lost",
  async () => {
    const mounts = mountPoints();
    const upper = join(directory, "kept");
    const program = await compileTo(join(directory, "keeping"), [
      "--userns=single",
      `--upper=${upper}`,
      busyboxRootfs(),
    ]);
    for (let round = 0; round < 40; round++) {
      const child = monitor(program, `: >/kept-${round}; ${stubborn}`);
      const end = ended(child);
      await until(() => existsSync(join(upper, `kept-${round}`)));
      for (const pid of childrenOf(child.pid ?? 0)) children.add(pid);
      child.kill("SIGKILL");
      await end;
      // The lock is let go when the last process inside is gone.
      await assertGone(program, mounts);
    }
    const { stdout } = await start([program, "sh", "-c", "ls / | grep -c ^kept"]);
    assert.is(stdout, "40\n");
  },
);

// Kernels before 6.6: the throw-away layer is a directory on disk.

const oldKernel: Partial<Host> = {
  kernel: { release: "6.1.0", major: 6, minor: 1 },
  upperStore: uppers,
};
const compileOld = (name: string, ...words: string[]) =>
  compileTo(join(directory, name), words, oldKernel);

/** Files in each of thirty nested directories with long names: the path is beyond PATH_MAX. */
const deepTree = `d=$(head -c 200 /dev/zero | tr '\\0' d); mkdir $d; for i in $(seq 30); do mkdir new; : >new/1; : >new/2; mv $d new; mv new $d; done`;
const manyFiles =
  "mkdir /many; cd /many; for i in $(seq 2000); do : >a-rather-long-name-for-a-file-$i; done";
const oddFiles =
  "mkdir /odd; cd /odd; mkfifo fifo; ln -s / link; ln -s /nowhere dead; : >'..x'; : >...; mkdir -p .a/.b; chmod 0 .a; : >ro; chmod 0 ro; rm -r /var /etc/passwd; mkdir /var";

test.needs(plain, "an upper on disk: writes vanish, and nothing is left", async () => {
  const rootfs = join(directory, "on-disk");
  copyBusyboxRootfs(rootfs);
  const program = await compileOld("disk", "--userns=single", rootfs);
  const mounts = mountPoints();
  for (const [script, expected] of [
    ["echo x >/new; cat /new; rm -r /home; mkdir /home; ls -A /home", "x\n"],
    [`cd /tmp; ${deepTree}; ${manyFiles}; ${oddFiles}; echo done`, "done\n"],
    ["ls /new /many /odd 2>/dev/null; ls /home; wc -l </etc/passwd", "alice\n5\n"],
  ] as const) {
    const { stdout, code } = await start([program, "sh", "-c", script]);
    assert.is(stdout, expected);
    assert.ok(code === 0 || code === 1);
    assert.equal(entriesOf(uppers), []);
    assert.equal(mountPoints(), mounts);
  }
});

test.needs(full, "an upper on disk with files of other users", async () => {
  for (const [name, options] of [
    ["root", []],
    ["alice", ["--user=alice"]],
    ["nomap", ["--userns=nomap"]],
  ] as const) {
    // Without an id of the caller's, its directories can't be written to (EOVERFLOW).
    const place = name === "nomap" ? "mkdir /t; cd /t" : "cd /tmp";
    const program = await compileOld(`disk-${name}`, ...options, busyboxRootfs());
    const script = `${place}; ${deepTree}; mkdir -m 700 e; : >e/f; chown -R alice e; chmod 0 e; ls | wc -l`;
    const { stdout, stderr } = await start([program, "sh", "-c", script]);
    assert.is(`${stdout}${stderr.replaceAll(/^chown: .*\n/gm, "")}`, "2\n", name);
    assert.equal(entriesOf(uppers), [], name);
  }
});

test.needs(
  plain,
  "an upper on disk: the next run removes what a killed janitor has left",
  async () => {
    const program = await compileOld("disk-sweep", "--userns=single", busyboxRootfs());
    const script = `mkdir -p /a/b/c; echo x >/a/b/c/d; exec sleep ${marker}`;
    const [killed, living] = [monitor(program, script), monitor(program, script)];
    const ends = [ended(killed), ended(living)];
    await until(
      () =>
        processesNaming(marker).filter(({ commandLine }) => commandLine.startsWith("sleep"))
          .length === 2,
    );
    const kept = entriesOf(uppers);
    assert.is(kept.length, 2);
    // The janitor before the init, whose end it waits for.
    for (const pid of childrenOf(killed.pid ?? 0).reverse()) process.kill(pid, "SIGKILL");
    killed.kill("SIGKILL");
    await ends[0];
    assert.equal(entriesOf(uppers), kept);
    assert.is((await start([program, "true"])).code, 0);
    const own = entriesOf(uppers);
    assert.is(own.length, 1);
    assert.match(own[0] ?? "", `/${living.pid}-`);
    living.kill("SIGKILL");
    await ends[1];
    await assertGone(program, mountPoints());
  },
);

test.needs(plain, "an upper on disk: a set-up that fails leaves nothing", async () => {
  const program = await compileOld(
    "disk-fails",
    "--userns=single",
    "--sysctl=net.ipv4.nosuch=1",
    busyboxRootfs(),
  );
  assert.is((await start([program, "true"])).code, 125);
  assert.equal(entriesOf(uppers), []);
  const clone = await compileOld(
    "disk-workdir",
    "--userns=single",
    "-w",
    "/nosuch",
    busyboxRootfs(),
  );
  assert.is((await start([clone, "true"])).code, 125);
  assert.equal(entriesOf(uppers), []);
});

for (const [name, needs, options] of [
  ["a single id", plain, ["--userns=single"]],
  ["the full map", full, []],
] as const) {
  test.needs(needs, `an upper on disk, SIGKILL of the monitor: ${name}`, async () => {
    const mounts = mountPoints();
    const program = await compileOld(
      `disk-kill-${name.replace(/\W/g, "-")}`,
      ...options,
      busyboxRootfs(),
    );
    await killAtRandom(program, 60, 25);
    await assertGone(program, mounts);
    const child = monitor(program, `cd /tmp; ${deepTree}; ${manyFiles}; exec sleep ${marker}`);
    const end = ended(child);
    await sleep(300);
    child.kill("SIGKILL");
    await end;
    await assertGone(program, mounts);
  });
}

test.run();

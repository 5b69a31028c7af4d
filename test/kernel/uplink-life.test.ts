/**
 * The life of pasta and slirp4netns: none outlives its sandbox, whichever of its processes is killed at
 * whatever moment; a sandbox outlives its helper, and says so.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { compileTo, temporaryDirectory } from "../support/inside.js";
import { useNetworks } from "../support/networks.js";
import { makeNewerPasta } from "../support/newer-pasta.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { processesNaming, start } from "../support/sandbox.js";
import { findInPath } from "../support/skip.js";
import { childrenOf, killIfThere } from "../support/started.js";
import { suite } from "../support/suite.js";
import { leftNaming, until } from "../support/until.js";

const test = suite("uplink-life");
const common = ["unprivileged", "user namespaces", "busybox"] as const;
const helpers = ["pasta", "slirp4netns"] as const;
const ways = {
  pasta: { helper: "pasta", needs: ["pasta"], isNewer: false },
  // The other one, whichever this machine's is.
  "pasta of Debian 13": { helper: "pasta", needs: ["tun", "debian packages"], isNewer: true },
  slirp4netns: { helper: "slirp4netns", needs: ["slirp4netns"], isNewer: false },
} as const;

// The helpers by names of their own, by which no other test's are taken for these.
const directory = temporaryDirectory("uplink");
const bin = join(directory, "bin");
const run = join(directory, "run");
const newer = join(directory, "newer-bin");
for (const made of [bin, run, newer]) mkdirSync(made, { mode: 0o700 });
for (const helper of helpers) {
  const path = findInPath(helper);
  if (path !== null) symlinkSync(path, join(bin, helper));
}
useNetworks("uplink-life", [{ name: "one" }]);
const path = `${bin}:${process.env.PATH}`;
process.env.XDG_RUNTIME_DIR = run;

const payload = ["sh", "-c", "echo ready; exec sleep 86.25"];
/** The sandboxes' programs and helpers. */
const left = () =>
  processesNaming(directory).map(({ pid, commandLine }) => `${pid} ${commandLine}`);

async function assertGone(): Promise<void> {
  assert.equal(await leftNaming(directory), []);
}

/** Starts the program; `ended` is its exit code, null after a signal. */
function begin(program: string): { child: ChildProcess; ended: Promise<number | null> } {
  const child = spawn(program, payload, { stdio: ["ignore", "pipe", "pipe"] });
  return { child, ended: new Promise((done) => child.on("close", done)) };
}

for (const [way, { helper, needs, isNewer }] of Object.entries(ways)) {
  const usePath = async () => {
    if (isNewer) await makeNewerPasta(newer);
    process.env.PATH = isNewer ? `${newer}:${path}` : path;
  };
  const port = "-p=127.0.0.1::80";
  const options = [`--network=${helper}`, port];
  for (const [name, more] of [
    ["a single id", [...options, "--userns=single"]],
    ["without an init", [...options, "--userns=single", "--no-init"]],
    ["another root inside", [...options, "--userns=nomap"]],
    // The holder's and the sandbox's own.
    ...(helper === "pasta" ? [["on a network", ["--network=one", port]] as const] : []),
  ] as const) {
    const all = [
      ...common,
      ...needs,
      ...(name === "another root inside" ? (["subids"] as const) : []),
    ];
    test.needs(all, `${way}, ${name}: SIGKILL of any process at random moments`, async () => {
      await usePath();
      const words = [...more, busyboxRootfs()];
      const program = await compileTo(
        join(directory, `${helper}-${name.replace(/\W/g, "-")}`),
        words,
      );
      for (let round = 0; round < 40; round++) {
        const { child, ended } = begin(program);
        await sleep(Math.random() * (name === "on a network" ? 200 : 80));
        const begun = [child.pid ?? 0, ...childrenOf(child.pid ?? 0)];
        // First one of the others, the init and the helper among them, and at last the monitor.
        killIfThere(begun[round % begun.length] ?? 0);
        await sleep(round % 3 === 0 ? 0 : 20);
        child.kill("SIGKILL");
        await ended;
      }
      await assertGone();
    });
  }

  test.needs(
    [...common, ...needs],
    `${way}: its end is told, and the sandbox goes on`,
    async () => {
      await usePath();
      const program = await compileTo(join(directory, `${helper}-ends`), [
        ...options,
        "--userns=single",
        "--status-fd=3",
        busyboxRootfs(),
      ]);
      const script = "echo ready; read -r line; echo $line; exit 7";
      const child = spawn(program, ["sh", "-c", script], {
        stdio: ["pipe", "pipe", "pipe", "pipe"],
      });
      const [, out, , status] = child.stdio.map((stream, fd) =>
        fd === 0 || fd === 2 || stream === null ? null : text(stream as NodeJS.ReadableStream),
      );
      let err = "";
      child.stderr?.on("data", (chunk) => {
        err += chunk;
      });
      await once(child.stdout as NodeJS.ReadableStream, "data");
      // Newer versions look after the process that they were started for once a second.
      await sleep(1500);
      assert.is(processesNaming(isNewer ? newer : join(bin, helper)).length, 1);
      for (const { pid } of processesNaming(isNewer ? newer : join(bin, helper)))
        process.kill(pid, "SIGKILL");
      const told = `sbx: ${helper}: it has ended, and the sandbox goes on without its network\n`;
      await until("it is told", () => err === told);
      child.stdin?.end("on\n");
      const [code] = await once(child, "close");
      assert.is(code, 7);
      assert.match((await out) ?? "", "on\n");
      assert.is(err, told);
      assert.match(
        (await status) ?? "",
        `{"event":"uplink","helper":"${helper}","state":"ended"}\n`,
      );
      await assertGone();
    },
  );

  test.needs(
    [...common, ...needs],
    `${way}: nothing is left when the command has ended`,
    async () => {
      await usePath();
      const program = await compileTo(join(directory, `${helper}-well`), [
        ...options,
        "--userns=single",
        busyboxRootfs(),
      ]);
      const { code, stderr } = await start([program, "true"]);
      assert.equal([code, stderr], [0, ""]);
      assert.equal(left(), []);
    },
  );
}

test.needs(common, "a helper that fails is told of in its own words", async () => {
  const broken = join(directory, "broken");
  mkdirSync(broken);
  for (const [name, script] of [
    ["pasta", "echo 'no such weather' >&2; exit 3"],
    ["slirp4netns", "exit 1"],
  ] as const) {
    writeFileSync(join(broken, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(broken, name), 0o755);
  }
  process.env.PATH = `${broken}:${path}`;
  const fail = async (name: string) => {
    const words = [`--network=${name}`, "--userns=single", busyboxRootfs()];
    const program = await compileTo(join(directory, `broken-${name}`), words);
    const { code, stdout, stderr } = await start([program, "echo", "ran"]);
    assert.equal([code, stdout], [125, ""]);
    return stderr;
  };
  try {
    assert.match(
      await fail("pasta"),
      /^sbx: start pasta: it ended before it was ready \(no such weather\)\. `sbx check` [^\n]+\n$/,
    );
    assert.match(
      await fail("slirp4netns"),
      /^sbx: start slirp4netns: it ended before it was ready\. /,
    );
  } finally {
    process.env.PATH = path;
  }
  await assertGone();
});

test.run();

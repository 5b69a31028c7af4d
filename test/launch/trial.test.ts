/** Trials, run for real as child processes of this one. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import * as assert from "uvu/assert";
import { probe } from "../../launch/facts/probe.js";
import { pseudoErrno } from "../../launch/lower/pseudo-errno.js";
import { slot } from "../../launch/machine/builder.js";
import { k, signo } from "../../launch/machine/constants.js";
import { compile } from "../../launch/machine/link.js";
import { withMemoryFile } from "../../launch/trial/memory.js";
import { type Outcome, type Trial, trialProgram } from "../../launch/trial/program.js";
import { tryHost } from "../../launch/trial/trial.js";
import { type Host, kernelAtLeast } from "../../spec/host.js";
import { errnoNumbers } from "../../spec/linux.js";
import { mountPoints, processesNaming } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("launch/trial");
let top = "";

test.before.each(() => {
  top = fs.mkdtempSync(join(tmpdir(), "sbx-trial-"));
});
test.after.each(() => fs.rmSync(top, { recursive: true, force: true }));

/** This machine, with a cache of the test's own. */
async function tried(overrides: Partial<Host> = {}) {
  const environment = { ...process.env, XDG_CACHE_HOME: join(top, "cache") };
  const host = { ...probe("/", environment), ...overrides };
  return { host, ...(await tryHost(host, environment)) };
}

function run<Name extends string>(...trials: Trial<Name>[]): Partial<Record<Name, Outcome>> {
  const { program, read } = trialProgram(trials);
  const path = join(top, "program");
  fs.writeFileSync(path, compile(program, "x86_64"), { mode: 0o700 });
  return read(records(path));
}

function records(path: string): Uint8Array {
  const { status, signal, output } = spawnSync(path, [], {
    stdio: ["ignore", "ignore", "inherit", "pipe"],
    timeout: 10_000,
  });
  assert.equal([status, signal], [0, null]);
  return (output as (Buffer | null)[])[3] ?? new Uint8Array();
}

const inside = (write: Trial["inside"]) => ({ namespaces: [], inside: write });

test("each trial has an outcome of its own", () => {
  const missing = inside(({ b, step }) => {
    step("begin");
    b.must("getpid", []);
    step("enter");
    b.must("chdir", [b.text("/nowhere/at/all")]);
    step("never reached");
    b.must("getpid", []);
  });
  const killed = inside(({ b, step }) => {
    step("die");
    const pid = slot("ownPid");
    b.must("getpid", [], pid);
    b.must("kill", [pid, signo("SIGKILL")]);
  });
  const outcomes = run(
    { name: "missing", ...missing },
    { name: "killed", ...killed },
    { name: "value", ...inside(({ b, value }) => b.set(value, -7)) },
    { name: "nothing", ...inside(() => {}) },
  );
  assert.equal(outcomes, {
    missing: { failure: { step: "enter", errno: errnoNumbers.ENOENT }, value: 0 },
    // Known to the parent, who does not know how far it came.
    killed: { failure: { step: "create", errno: -9 }, value: 0 },
    value: { failure: null, value: -7 },
    nothing: { failure: null, value: 0 },
  });
});

test("what a trial changes, the next one does not see", () => {
  const enter = inside(({ b }) => b.must("chdir", [b.text("/proc/self")]));
  const relative = inside(({ b }) =>
    b.must("openat", [k("AT_FDCWD"), b.text("status"), k("O_RDONLY"), 0]),
  );
  const outcomes = run({ name: "enter", ...enter }, { name: "relative", ...relative });
  assert.is(outcomes.enter?.failure, null);
  assert.is(outcomes.relative?.failure?.errno, errnoNumbers.ENOENT);
});

test.needs("unprivileged", "a namespace that is refused", () => {
  const outcomes = run(
    { name: "mount", namespaces: ["CLONE_NEWNS"], inside: () => {} },
    { name: "after", ...inside(() => {}) },
  );
  assert.equal(outcomes.mount?.failure, { step: "create", errno: errnoNumbers.EPERM });
  assert.is(outcomes.after?.failure, null);
});

test.needs("unprivileged", "a map that the kernel refuses ends the child", () => {
  const maps = {
    kind: "mapIds",
    uidMappings: [{ containerID: 0, hostID: 0, size: 5 }],
    gidMappings: [],
    helpers: null,
    denySetgroups: false,
  } as const;
  const body: Trial["inside"] = ({ b, value }) => b.set(value, 1);
  const outcomes = run({ name: "map", namespaces: ["CLONE_NEWUSER"], maps, inside: body });
  assert.equal(outcomes.map, {
    failure: { step: "map ids", errno: errnoNumbers.EPERM },
    value: 0,
  });
});

test("a helper that fails", () => {
  const line = [{ containerID: 0, hostID: 0, size: 1 }];
  const maps = {
    kind: "mapIds",
    uidMappings: line,
    gidMappings: line,
    helpers: { newuidmap: "/bin/true", newgidmap: "/bin/false" },
    denySetgroups: false,
  } as const;
  const both = { name: "both", namespaces: [], maps, inside: () => {} };
  const good = {
    ...both,
    name: "good",
    maps: { ...maps, helpers: { newuidmap: "/bin/true", newgidmap: "/bin/true" } },
  };
  const outcomes = run(both, good);
  assert.equal(outcomes.both?.failure, { step: "map ids", errno: pseudoErrno.helperFailed });
  assert.is(outcomes.good?.failure, null);
});

test("a program in memory is executed", () => {
  const { program, read } = trialProgram([
    { name: "value", ...inside(({ b, value }) => b.set(value, 42)) },
  ]);
  const bytes = withMemoryFile(compile(program, "x86_64"), records);
  assert.is(read(bytes).value?.value, 42);
});

test.needs("mount namespaces", "what works on this machine is found to work", async () => {
  const { outcomes, programs, storeRefusal } = await tried();
  assert.is(programs.kind, "file");
  assert.is(storeRefusal, null);
  for (const name of ["user", "mount", "pid", "network", "ipc", "uts", "mounts"] as const) {
    assert.equal(outcomes?.[name]?.failure, null, name);
  }
  assert.equal(outcomes?.seccomp?.failure, null);
});

test.needs("subids", "the maps of a default run are written", async () => {
  const { outcomes, maps, complaints } = await tried();
  assert.equal(complaints, []);
  assert.equal(outcomes?.idMap, { failure: null, value: 0 });
  assert.ok(maps.helpers !== null || process.getuid?.() === 0);
});

test.needs(
  ["mount namespaces", "overlay"],
  "an overlay on tmpfs, and on disk for older kernels",
  async () => {
    const recent = await tried();
    assert.equal(recent.outcomes?.overlay?.failure, null);
    assert.is(recent.outcomes?.diskOverlay === undefined, kernelAtLeast(recent.host, 6, 6));
    if (kernelAtLeast(recent.host, 6, 6)) assert.equal(recent.outcomes?.xattrs?.failure, null);
    const old = await tried({ kernel: { release: "6.1.0", major: 6, minor: 1 } });
    assert.equal(old.outcomes?.diskOverlay, { failure: null, value: 0 });
    // Whether it has them is for the file system below /tmp to say.
    assert.ok(old.outcomes?.diskXattrs !== undefined);
  },
);

test.needs("mount namespaces", "nothing is left behind but the program", async () => {
  const before = mountPoints();
  const { host, programs } = await tried({ kernel: { release: "6.1.0", major: 6, minor: 1 } });
  assert.equal(fs.readdirSync(host.upperStore), []);
  assert.equal(mountPoints(), before);
  if (programs.kind !== "file") throw new Error("no place is executable");
  assert.equal(processesNaming(programs.path), []);
  assert.is(fs.readdirSync(dirname(programs.path)).length, 1);
  assert.equal(fs.readdirSync(top), ["cache"]);
  assert.equal(fs.readdirSync(join(top, "cache/sbx")).sort(), ["programs", "uppers"]);
});

test("a store that cannot be made is told, not tried", async () => {
  fs.writeFileSync(join(top, "file"), "");
  const { outcomes, storeRefusal } = await tried({
    kernel: { release: "6.1.0", major: 6, minor: 1 },
    upperStore: join(top, "file/uppers"),
  });
  assert.match(storeRefusal ?? "", /^lstat .*: ENOTDIR$/);
  assert.is(outcomes?.diskOverlay, undefined);
});

test("helpers that are no such programs are told by what they say", async () => {
  const refuser = join(top, "refuse");
  fs.writeFileSync(refuser, "#!/bin/sh\necho no, never >&2\nexit 1\n", { mode: 0o755 });
  const helper = { path: refuser, setuidRoot: false };
  const { outcomes, complaints } = await tried({
    mapsAnyId: false,
    user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, name: null, home: top },
    subuids: [{ start: 100000, size: 65536 }],
    subgids: [{ start: 100000, size: 65536 }],
    newuidmap: helper,
    newgidmap: helper,
  });
  assert.equal(outcomes?.idMap?.failure, { step: "map ids", errno: pseudoErrno.helperFailed });
  assert.equal([...new Set(complaints)], ["no, never"]);
  assert.is(outcomes?.newuidmapCapabilities?.failure?.errno, errnoNumbers.ENODATA);
});

test.run();

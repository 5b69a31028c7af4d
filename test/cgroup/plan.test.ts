import * as assert from "uvu/assert";
import { approachSteps } from "../../cgroup/place-steps.js";
import { type CgroupOwner, planCgroup } from "../../cgroup/plan.js";
import { defaultSpec } from "../../spec/default.js";
import { describe } from "../../spec/describe.js";
import type { Host } from "../../spec/host.js";
import type { CgroupDirectory, CgroupFacts } from "../../spec/host-cgroup.js";
import type { CgroupKeys, Resources } from "../../spec/resources.js";
import type { Spec } from "../../spec/spec.js";
import { failureOf, hostOf } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const test = suite("cgroup/plan");

const caller: CgroupOwner = { ids: { uid: 0, gid: 0 }, isCaller: true, callerMapped: true };
const laptop = hostOf().cgroup;
const own = (overrides: Partial<CgroupDirectory> = {}): CgroupDirectory => ({
  path: "/sys/fs/cgroup/init.scope",
  writable: true,
  controllers: ["cpu", "memory", "pids"],
  isVacant: true,
  ...overrides,
});

function sandbox(resources?: Resources, cgroup?: CgroupKeys, shared?: "pid" | "cgroup"): Spec {
  const spec = defaultSpec("/srv/debian");
  const namespaces = spec.linux.namespaces.filter(({ type }) => type !== shared);
  return {
    ...spec,
    linux: { ...spec.linux, namespaces, ...(resources && { resources }) },
    sbx: { ...spec.sbx, ...(cgroup && { cgroup }) },
  };
}

function machine(cgroup: Partial<CgroupFacts> = {}, overrides: Partial<Host> = {}): Host {
  const limits = { hasSwap: false, cpus: "0-1", mems: "0", disks: {}, files: {} };
  return hostOf({ cgroup: { ...laptop, ...cgroup }, limits, ...overrides });
}

const memory: Resources = { memory: { limit: 1 << 26 } };
const plan = (spec: Spec, host = machine(), owner = caller) => planCgroup(spec, host, owner);
const steps = (...words: Parameters<typeof plan>) => {
  const { make, join, enter, delegate, limit } = plan(...words);
  return [...make, ...join, ...enter, ...delegate, ...limit].map(({ action }) => describe(action));
};

test("nothing is made where nothing is limited", () => {
  const nothing = plan(sandbox());
  assert.equal([nothing.make, nothing.enter, nothing.mounts, nothing.notes], [[], [], [], []]);
  assert.equal(plan(sandbox({})).make, []);
  const none = machine({ manager: null, own: [] });
  for (const endless of [
    { memory: { limit: -1, swap: -1 } },
    { cpu: { quota: -1 } },
    { pids: { limit: -1 } },
  ]) {
    assert.equal(plan(sandbox(endless), none).make, []);
  }
  assert.equal(plan(sandbox(undefined, { manager: "none" })).make, []);
});

test("a scope of the user's systemd", () => {
  assert.equal(steps(sandbox(memory)), [
    "have systemd start a scope below user.slice",
    "open its own control group, and go to one below it",
    "enable the controllers cpu, cpuset, pids for the sandbox's control group",
    "make the sandbox's control group sbx-…",
    "create a cgroup namespace",
    'have the controllers io, memory enabled, and write "67108864" to memory.max of the control group',
  ]);
  const { isBornIn, mounts, notes } = plan(sandbox(memory));
  assert.ok(isBornIn);
  assert.equal(mounts, [
    {
      destination: "/sys/fs/cgroup",
      type: "cgroup2",
      source: "cgroup2",
      options: ["nosuid", "noexec", "nodev", "ro"],
    },
  ]);
  assert.match(notes[0] ?? "", "in a scope of your systemd's below user.slice");
});

test("what is ours is not counted: memory, and io that depends on it, are the last to be limited", () => {
  const written = (resources: Resources, host = machine()) =>
    steps(sandbox(resources), host).filter((each) => /enable|write/.test(each));
  const pids = { limit: 9 };
  assert.equal(written({ pids }), [
    "enable the controllers cpu, cpuset, io, memory, pids for the sandbox's control group",
    'write "9" to pids.max of the control group',
  ]);
  assert.equal(written({ ...memory, pids, unified: { "io.weight": "9" } }), [
    "enable the controllers cpu, cpuset, pids for the sandbox's control group",
    'write "9" to pids.max of the control group',
    'have the controllers io, memory enabled, and write "67108864" to memory.max, "9" to io.weight of the control group',
  ]);
  const only = machine({ manager: null, own: [own({ controllers: ["memory"] })] });
  assert.equal(written(memory, only), [
    'have the controllers memory enabled, and write "67108864" to memory.max of the control group',
  ]);
  // No limit is there without the controller.
  assert.equal(written({ memory: { limit: -1 }, pids }).length, 3);
});

test("the slice that was asked for", () => {
  const words = steps(sandbox(memory, { manager: "auto", parent: "batch.slice" }));
  assert.is(words[0], "have systemd start a scope below batch.slice");
  const parent = (name: string) =>
    failureOf(() => plan(sandbox(memory, { manager: "systemd", parent: name })));
  assert.match(parent("/batch"), "/batch is no slice's name. Use --cgroup-parent=NAME.slice");
  assert.match(parent("a\\x2d.slice"), "no slice's name");
});

test("before Linux 5.7, and where a filter may not know clone3, the init is moved", () => {
  const old = { kernel: { release: "5.6.0", major: 5, minor: 6 } };
  const filtered = { seccomp: { actions: null, isFiltered: true } };
  for (const overrides of [old, filtered]) {
    const host = machine({}, overrides);
    assert.not(plan(sandbox(memory), host).isBornIn);
    assert.ok(steps(sandbox(memory), host).includes("move the init into the control group"));
  }
});

test("a group of the caller's own, which the monitor leaves, or one above it", () => {
  const host = machine({ manager: null, own: [own()] });
  assert.equal(steps(sandbox(memory), host).slice(0, 2), [
    "open the control group /sys/fs/cgroup/init.scope, and go to one below it",
    "enable the controllers cpu, pids for the sandbox's control group",
  ]);
  const above = own({ path: "/sys/fs/cgroup" });
  const shared = machine({ manager: null, own: [own({ isVacant: false }), above] });
  assert.is(steps(sandbox(memory), shared)[0], "open the control group /sys/fs/cgroup");
});

test("in a group that others are in nothing can be limited, but groups can be made", () => {
  const host = machine({ manager: null, own: [own({ isVacant: false })] });
  assert.is(
    failureOf(() => plan(sandbox(memory), host)),
    "sbx: limit resources: /sys/fs/cgroup/init.scope is delegated to you, but others are in it besides sbx, so that it cannot be divided. Start sbx in a group of its own: systemd-run --user --scope -p Delegate=yes sbx run …",
  );
  assert.equal(steps(sandbox(undefined, { manager: "cgroupfs" }), host), [
    "open the control group /sys/fs/cgroup/init.scope",
    "make the sandbox's control group sbx-…",
    "create a cgroup namespace",
  ]);
});

test("a parent directory is taken if it is the caller's", () => {
  const keys: CgroupKeys = { manager: "auto", parent: "/batch" };
  const parent = own({ path: "/sys/fs/cgroup/batch" });
  const of = (each: CgroupDirectory | null) => () =>
    plan(sandbox(memory, keys), machine({ parent: each }));
  assert.is(
    describe(of(parent)().make[0]?.action as never),
    "open the control group /sys/fs/cgroup/batch",
  );
  assert.match(failureOf(of(null)), "there is no group /batch");
  assert.match(failureOf(of({ ...parent, writable: false })), "/batch is not delegated to you");
  const up = sandbox(memory, { manager: "auto", parent: "/batch/../.." });
  assert.match(
    failureOf(() => plan(up, machine({ parent }))),
    "is no directory of control groups",
  );
});

test("what cannot be limited is an error with its mend", () => {
  const fails = (cgroup: Partial<CgroupFacts>, resources = memory) =>
    failureOf(() => plan(sandbox(resources), machine(cgroup)));
  const hybrid = { mode: "hybrid", v1Controllers: ["cpu", "memory"], manager: null } as const;
  assert.is(
    fails(hybrid),
    "sbx: limit resources: memory: the controller is version 1's here, which only root may use. Boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line; in a container, boot its host so",
  );
  const disk = { throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1 }] };
  assert.match(
    fails({ ...hybrid, v1Controllers: ["blkio"] }, { blockIO: disk }),
    "limit resources: io: the controller is version 1's here",
  );
  const only = plan(sandbox(undefined, { manager: "auto" }), machine({ ...hybrid, own: [] }));
  assert.match(only.notes[0] ?? "", "your systemd, if there is one, has version 1 to divide here");
  assert.match(fails({ ...hybrid, mode: "v1" }), "only root may use");
  assert.match(fails({ mode: "none", manager: null }), "no control groups are mounted here");
  assert.is(
    fails({ manager: null, own: [] }),
    "sbx: limit resources: no systemd of yours is running here, and no group around you is delegated to you. sudo loginctl enable-linger alice starts it for good, and without a login",
  );
  const manager = laptop.manager && { ...laptop.manager, controllers: ["memory", "pids"] };
  const cpus = fails({ manager }, { cpu: { cpus: "0" } });
  assert.match(
    cpus,
    "limit resources: cpuset is not delegated to your systemd. sudo mkdir -p /etc",
  );
  assert.match(cpus, "Delegate=cpu cpuset io memory pids");
  assert.match(cpus, "where you linger: sudo systemctl restart user@$(id -u)");
});

test("without a limit, what was asked for is an error too, and auto is a note", () => {
  const nowhere = machine({ manager: null, own: [] });
  for (const manager of ["systemd", "cgroupfs"] as const) {
    const failed = failureOf(() => plan(sandbox(undefined, { manager }), nowhere));
    assert.match(failed, "make a control group: no ");
  }
  const { make, notes } = plan(sandbox(undefined, { manager: "auto" }), nowhere);
  assert.equal(make, []);
  assert.match(notes[0] ?? "", "no control group: no systemd of yours is running here");
});

test("a group that is writable inside is given to the sandbox's root, if that can be", () => {
  const keys: CgroupKeys = { manager: "auto", writable: true };
  const spec = sandbox({ pids: { limit: 9 } }, keys);
  assert.is(steps(spec).at(-1), "go to a group below the control group");
  assert.not.ok(plan(spec).mounts[0]?.options?.includes("ro"));
  const kept = { ...caller, isCaller: false };
  assert.is(
    steps(spec, machine(), kept).at(-1),
    "go to a group below the control group, and give that to uid 0, gid 0 inside",
  );
  const without = { ...kept, callerMapped: false };
  assert.match(
    failureOf(() => plan(spec, machine(), without)),
    "you have no id inside",
  );
  for (const shared of ["pid", "cgroup"] as const) {
    const failed = failureOf(() => plan(sandbox(memory, keys, shared)));
    assert.match(
      failed,
      `make the control group writable: the ${shared} namespace is not the sandbox's own`,
    );
  }
});

test("without nsdelegate a root inside could raise its limits", () => {
  const host = machine({ guardsLimits: false });
  const writable: CgroupKeys = { manager: "auto", writable: true };
  assert.match(
    failureOf(() => plan(sandbox(memory, writable), host)),
    "mounted without nsdelegate",
  );
  assert.ok(plan(sandbox(undefined, writable), host).make.length > 0);
  assert.match(plan(sandbox(memory), host).notes.at(-1) ?? "", "mounted without nsdelegate");
});

test("a cgroup namespace of the host's shows no groups", () => {
  const { enter, mounts } = plan(sandbox(memory, undefined, "cgroup"));
  assert.equal([enter, mounts], [[], []]);
});

test("into a group of systemd's only who is outside of its groups asks for a scope first", () => {
  const manager = laptop.manager?.path ?? "";
  const group = `${manager}/user.slice/sbx-web.scope/sbx-web`;
  const asked = (cgroup: string, facts: Partial<CgroupFacts>) =>
    approachSteps(cgroup, machine(facts)).map(({ action }) => describe(action));
  const session = own({ path: "/sys/fs/cgroup/user.slice/user-1000.slice/session-1.scope" });
  const scope = ["have systemd start a scope below user.slice"];
  assert.equal(asked(group, { own: [session] }), scope);
  assert.equal(asked(group, { own: [] }), scope);
  assert.equal(asked(group, { own: [own({ path: `${manager}/app.slice/term.scope` })] }), []);
  assert.equal(asked("/sys/fs/cgroup/elsewhere/sbx-web", { own: [session] }), []);
  assert.equal(asked(group, { own: [session], manager: null }), []);
});

test.run();

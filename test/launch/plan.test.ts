/** What must hold of every plan, and what a plan refuses. */
import * as assert from "uvu/assert";
import { compileSandbox } from "../../launch/compile.js";
import { plan } from "../../launch/plan.js";
import { callsOf } from "../../seccomp/following.js";
import type { Host } from "../../spec/host.js";
import { errnoNumbers } from "../../spec/linux.js";
import type { Plan } from "../../spec/plan.js";
import type { Spec } from "../../spec/spec.js";
import type { Action } from "../../spec/step.js";
import { closedSpec, failureOf, hostOf, poorHost } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const test = suite("plans");
const base = closedSpec("/srv/debian");
/** With nobody outside to remove its writes. */
const alone: Spec = { ...base, sbx: { ...base.sbx, writes: "in-place" } };

const asUser: Spec = {
  ...base,
  process: { ...base.process, user: { uid: 7, gid: 8, umask: 0o77 }, oomScoreAdj: 1 },
  linux: { ...base.linux, sysctl: { "net.core.somaxconn": "1" } },
};

function place({ steps }: Plan, kind: Action["kind"], last = false): number {
  const kinds = steps.map(({ action }) => action.kind);
  const found = last ? kinds.lastIndexOf(kind) : kinds.indexOf(kind);
  assert.ok(found >= 0, `the plan has no ${kind}`);
  return found;
}

/** `before` comes before `after`, each by its last and first step of the kind. */
function ordered(of: Plan, before: Action["kind"], after: Action["kind"]): void {
  assert.ok(place(of, before, true) < place(of, after), `${before} comes before ${after}`);
}

test("protections come in an order in which none undoes another", () => {
  const made = plan(asUser, hostOf());
  const data = { destination: "/data", type: "bind", source: "/data", options: ["ro"] };
  const bound = plan({ ...asUser, mounts: [...asUser.mounts, data] }, hostOf());
  ordered(made, "tidyFds", "clone");
  ordered(made, "clone", "mapIds");
  ordered(made, "mapIds", "dieWithMonitor");
  ordered(bound, "openSource", "setIds");
  ordered(bound, "bindSource", "attach");
  ordered(made, "writeProc", "readonlyPath");
  ordered(made, "writeProc", "nonDumpable");
  ordered(bound, "addMountFlags", "attach");
  ordered(made, "openAnchors", "mask");
  ordered(made, "mask", "pivotRoot");
  ordered(made, "awaitRecord", "pivotRoot");
  ordered(made, "mask", "nonDumpable");
  ordered(made, "dropBounding", "setCapabilities");
  ordered(made, "setgroups", "setCapabilities");
  ordered(made, "setIds", "setCapabilities");
  ordered(made, "setCapabilities", "noNewPrivileges");
  const last = made.steps.slice(-3).map(({ action }) => action.kind);
  assert.equal(last, ["noNewPrivileges", "seccomp", "execve"]);
});

test("an early payload waits for the sandbox, and the record is there before that", () => {
  const made = plan(alone, hostOf());
  const kindsOf = (wanted: string) =>
    made.steps.flatMap(({ role, action }) => (role === wanted ? [action.kind] : []));
  const begins = ["nonDumpable", "makeNetwork", "dropBounding", "awaitInit"];
  assert.equal(kindsOf("payload").slice(0, 6), [...begins, "setIds", "joinKeyring"]);
  ordered(made, "clone", "startPayload");
  ordered(made, "askRecord", "pivotRoot");
  ordered(made, "enterNetwork", "awaitRecord");
  // What the monitor opens for the record cannot be had from then on.
  assert.equal(kindsOf("init").slice(-2), ["awaitRecord", "nonDumpable"]);
});

test("an early payload's network is waited for when all but /sys is in its place, or nothing of somebody's own", () => {
  const order = (spec: Spec) =>
    plan(spec, hostOf()).steps.flatMap(({ action }) =>
      action.kind === "attach" ? [action.path] : action.kind === "enterNetwork" ? ["network"] : [],
    );
  const own = ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"];
  const files = order(alone).filter((path) => path.startsWith("/etc/"));
  assert.ok(files.length > 0);
  assert.equal(order(alone), [...own, ...files, "network", "/sys"]);
  const data = { destination: "/data", type: "tmpfs", source: "tmpfs", options: [] };
  const [proc, dev, ...others] = own;
  assert.equal(order({ ...alone, mounts: [...alone.mounts, data] }), [
    ...["network", proc, dev, "/sys", ...others, "/data"],
    ...files,
  ]);
});

test("a payload comes last where the sandbox needs more than itself", () => {
  const { process, linux, sbx } = alone;
  const sysctl = { "net.core.somaxconn": "1" };
  for (const spec of [
    base,
    { ...alone, process: { ...process, oomScoreAdj: 1 } },
    { ...alone, linux: { ...linux, sysctl } },
    { ...alone, sbx: { ...sbx, init: false } },
  ]) {
    const { steps } = plan(spec, hostOf());
    assert.not.ok(steps.some(({ action }) => action.kind === "startPayload"));
    const clone = steps.find(({ action }) => action.kind === "clone")?.action;
    assert.ok(clone?.kind === "clone" && clone.namespaces.includes("CLONE_NEWNET"));
  }
});

test("without no_new_privs the filter is loaded while CAP_SYS_ADMIN is there", () => {
  const process = { ...asUser.process, noNewPrivileges: false };
  const made = plan({ ...asUser, process }, hostOf());
  ordered(made, "setgroups", "seccomp");
  ordered(made, "seccomp", "keepCapabilities");
  ordered(made, "seccomp", "setCapabilities");
  assert.not.ok(made.steps.some(({ action }) => action.kind === "noNewPrivileges"));
});

test("the calls of the steps behind a filter are those that the profile is asked about", () => {
  const process = { ...asUser.process, noNewPrivileges: false };
  const made = compileSandbox({ ...asUser, process, sbx: { ...base.sbx, init: false } }, hostOf());
  const first = place(made.plan, "seccomp") + 1;
  const calls = made.plan.steps.map(() => new Set<string>());
  let current: Set<string> | undefined;
  for (const op of made.program.ops) {
    if (op.kind === "comment") current = calls[Number(/^payload, step (\d+)/.exec(op.text)?.[1])];
    if (op.kind === "label" && op.name === "inside.fail") current = undefined;
    // A process ends, whether the filter lets it or not.
    if (op.kind === "syscall" && op.onError.kind !== "never") current?.add(op.name);
  }
  const kinds = made.plan.steps.slice(first).map(({ action }) => action.kind);
  const expected = [
    "keepCapabilities",
    "setIds",
    "dieWithMonitor",
    "enterWorkdir",
    "setCapabilities",
  ];
  assert.equal(kinds, [...expected, "execve"]);
  for (const [index, kind] of kinds.entries()) {
    // execve is in a subroutine.
    const wanted = kind === "execve" ? [] : (callsOf[kind] ?? []);
    assert.equal([...(calls[first + index] ?? [])].sort(), [...wanted].sort(), kind);
  }
});

test("roles follow one another: monitor, init, payload", () => {
  // What the init does at once, while the monitor goes on.
  const early = ["umask", "startPayload", "mapIds"];
  const roles = plan(asUser, hostOf()).steps.flatMap(({ role, action }) =>
    early.includes(action.kind) ? [] : [role],
  );
  const rank = { monitor: 0, stepper: 0, init: 1, payload: 2, keeper: 3, answerer: 4 };
  for (const [index, role] of roles.entries()) {
    assert.ok(index === 0 || rank[role] >= rank[roles[index - 1] ?? "monitor"], `step ${index}`);
  }
});

test("once the root is changed nothing of files is left to do but what the fds of before are for", () => {
  const made = plan(base, hostOf());
  const after = made.steps.slice(place(made, "pivotRoot") + 1).map(({ action }) => action.kind);
  const named = ["mount", "mkdir", "touch", "symlink", "attach", "mask", "readonlyPath", "chdir"];
  assert.equal(
    after.filter((kind) => named.includes(kind)),
    [],
  );
});

test("every hint is for an errno that there is, and compiles", () => {
  const special = ["any", "helperFailed", "nameTaken", "noInterpreter", "otherType"];
  for (const { hints = {} } of plan(asUser, hostOf()).steps) {
    for (const name of Object.keys(hints)) {
      assert.ok(special.includes(name) || name in errnoNumbers, name);
    }
  }
  assert.ok(compileSandbox(asUser, hostOf()).bytes.length > 0);
});

test("a single id gives up setgroups, and does not call it", () => {
  const made = plan(base, poorHost);
  assert.not.ok(made.steps.some(({ action }) => action.kind === "setgroups"));
  assert.match(made.notes.join("\n"), "only your own uid and gid exist inside");
});

test("the payload dies with the monitor itself where no pid namespace takes it along", () => {
  const shared = base.linux.namespaces.filter(({ type }) => type !== "pid");
  const made = plan({ ...base, linux: { ...base.linux, namespaces: shared } }, hostOf());
  const payload = made.steps.filter(({ role }) => role === "payload");
  assert.ok(payload.some(({ action }) => action.kind === "dieWithMonitor"));
  assert.match(made.notes.join("\n"), "outlives it");
});

test("who keeps its ids is that user inside", () => {
  const made = plan({ ...base, sbx: { ...base.sbx, userns: { mode: "keep-id" } } }, hostOf());
  const action = made.steps.find((s) => s.role === "payload" && s.action.kind === "setIds")?.action;
  assert.equal(action, { kind: "setIds", uid: 1000, gid: 100 });
});

const namespaces = (more: Partial<Host["userNamespaces"]>) =>
  hostOf({
    userNamespaces: { max: 63000, unprivilegedClone: null, apparmorRestricted: null, ...more },
  });

test("a kernel without user namespaces is told by its reason, with the sysctl that mends it", () => {
  assert.match(
    failureOf(() => plan(base, namespaces({ max: 0 }))),
    /max_user_namespaces is 0.*sysctl/,
  );
  assert.match(
    failureOf(() => plan(base, namespaces({ unprivilegedClone: false }))),
    /unprivileged_userns_clone is 0.*sysctl/,
  );
});

test("AppArmor's restriction, which only an attempt can tell, is the hint of the steps it stops", () => {
  const { steps } = plan(base, namespaces({ apparmorRestricted: true }));
  const first = steps.find(({ role, action }) => role === "init" && action.kind === "mount");
  assert.match(first?.hints?.EACCES ?? "", /AppArmor.*profile sbx/);
  assert.match(steps.find(({ action }) => action.kind === "clone")?.hints?.EPERM ?? "", "apparmor");
});

test("a filter around sbx is the hint of what it may refuse", () => {
  const filtered = (isFiltered: boolean) => {
    const host = hostOf({ seccomp: { actions: null, isFiltered } });
    const { steps } = plan(base, host);
    return (["clone", "pivotRoot"] as const).map(
      (kind) => steps.find(({ action }) => action.kind === kind)?.hints?.EPERM ?? "",
    );
  };
  for (const hint of filtered(true)) assert.match(hint, "A seccomp filter is around sbx");
  for (const hint of filtered(false)) assert.not.match(hint, "A seccomp filter");
});

test("the hint of a refused map tells a helper that is not set-user-ID", () => {
  const host = hostOf({ newuidmap: { path: "/opt/newuidmap", setuidRoot: false } });
  const step = plan(base, host).steps.find(({ action }) => action.kind === "mapIds");
  assert.match(step?.hints?.helperFailed ?? "", "chmod u+s /opt/newuidmap");
});

test.run();

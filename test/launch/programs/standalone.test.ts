/** What programs of `sbx compile` need and tell. */
import * as assert from "uvu/assert";
import { compileStandalone } from "../../../launch/programs/standalone.js";
import type { Host } from "../../../spec/host.js";
import type { SbxKeys } from "../../../spec/spec.js";
import { closedSpec, failureOf, hostOf, rootHost } from "../../support/fixture.js";
import { suite } from "../../support/suite.js";

const test = suite("standalone");
const current = { release: "6.18.0", major: 6, minor: 18 };
const origin = { version: "1.2.3", options: { network: ["none"] } };

const base = closedSpec("./debian");
const compile = (host: Host, keys: Partial<SbxKeys> = {}) =>
  compileStandalone({ ...base, sbx: { ...base.sbx, ...keys } }, host, origin);
const single = { userns: { mode: "single" } } as const;

/** What it says of itself. */
function infoOf(host: Host, keys: Partial<SbxKeys> = {}) {
  const text = Buffer.from(compile(host, keys).bytes).toString("latin1");
  const start = text.indexOf('{\n"sbx":');
  return JSON.parse(text.slice(start, text.indexOf("\n}\n", start) + 2));
}

test("a program with subordinate ids is one user's, and needs the helpers", () => {
  const { spec, ...info } = infoOf(hostOf({ kernel: current }));
  assert.equal(info, {
    sbx: "1.2.3",
    architecture: "x86_64",
    uid: 1000,
    helpers: ["/usr/bin/newuidmap", "/usr/bin/newgidmap"],
    kernel: "6.6",
    uidMappings: [
      { containerID: 0, hostID: 1000, size: 1 },
      { containerID: 1, hostID: 100000, size: 65536 },
    ],
    gidMappings: [
      { containerID: 0, hostID: 100, size: 1 },
      { containerID: 1, hostID: 200000, size: 65536 },
    ],
    options: { network: ["none"] },
  });
  assert.equal(spec.root, { path: "/srv/debian" });
});

test("one with a single id is anyone's, whoever compiles it", () => {
  const ids = [{ containerID: 0, hostID: null, size: 1 }];
  const ofUser = infoOf(hostOf({ kernel: current }), single);
  assert.equal(
    [ofUser.uid, ofUser.uidMappings, ofUser.gidMappings, ofUser.helpers],
    [null, ids, ids, []],
  );
  const ofRoot = infoOf(rootHost({ kernel: current }), single);
  assert.equal(ofRoot, ofUser);
  assert.is(infoOf(rootHost({ kernel: current })).uid, 0);
});

test("but not where writes go to the user's own disk", () => {
  const old = { release: "5.14", major: 5, minor: 14 };
  assert.is(infoOf(hostOf({ kernel: old }), single).uid, 1000);
  assert.is(infoOf(rootHost({ kernel: old }), single).uid, 0);
});

test("it asks for the oldest kernel for which it would be the same", () => {
  const oldest = (major: number, minor: number, keys = {}) =>
    infoOf(hostOf({ kernel: { release: "", major, minor } }), keys).kernel;
  assert.is(oldest(6, 18), "6.6");
  assert.is(oldest(6, 6), "6.6");
  assert.is(oldest(6, 5), "5.12");
  assert.is(oldest(5, 11), "5.11");
  assert.is(oldest(99, 0), "6.6");
});

test("what only sbx keeps track of is refused", () => {
  const failure = (keys: Partial<SbxKeys>, host: Partial<Host> = {}) =>
    failureOf(() => compile(hostOf(host), keys));
  assert.match(failure({ name: "web" }), /^sbx: compile --name web: .*is found by no name/);
  const from = { mode: "sandbox", sandbox: "web" } as const;
  assert.match(failure({ network: { from } }), /^sbx: compile --network: /);
  const join = { sandbox: "web", namespaces: ["ipc" as const] };
  assert.match(failure({ join }), /^sbx: compile --ipc: .* --ipc=private or host/);
});

test.run();

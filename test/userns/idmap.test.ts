import * as assert from "uvu/assert";
import type { Host } from "../../spec/host.js";
import type { UsernsMode } from "../../spec/spec.js";
import { hostIdOf, planIdMaps } from "../../userns/idmap.js";
import { failureOf, hostOf, maps, poorHost, render, rootHost, specOf } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const test = suite("userns/idmap");
const helpers = { newuidmap: "/usr/bin/newuidmap", newgidmap: "/usr/bin/newgidmap" };
const auto: UsernsMode = { mode: "auto" };
const plan = (userns: UsernsMode, host: Host = hostOf()) => planIdMaps(specOf(userns), host);
const uids = (userns: UsernsMode, host?: Host) => render(plan(userns, host).uidMappings);
const explicit = (uid: string, host: Host = hostOf(), gid?: string) =>
  planIdMaps(specOf(auto, maps(uid), gid === undefined ? undefined : maps(gid)), host);

test("auto: the caller is root, the subordinate ids follow", () => {
  const result = plan(auto);
  assert.equal(render(result.uidMappings), "0:1000:1 1:100000:65536");
  assert.equal(render(result.gidMappings), "0:100:1 1:200000:65536");
  assert.equal(result.helpers, helpers);
  assert.is(result.denySetgroups, false);
  assert.is(result.rootMapped, true);
  assert.equal(result.notes, []);
});

test("auto without subordinate ids is a single id, and says how to get more", () => {
  const result = plan(auto, poorHost);
  assert.equal(render(result.uidMappings), "0:1000:1");
  assert.equal(render(result.gidMappings), "0:100:1");
  assert.is(result.helpers, null);
  assert.is(result.denySetgroups, true);
  assert.equal(result.notes, [
    "only your own uid and gid exist inside: alice has no subordinate ids in /etc/subuid and /etc/subgid. An administrator gives them with: sudo usermod --add-subuids 165536-231071 --add-subgids 265536-331071 alice",
  ]);
});

test("a user without a name is told the line, for usermod knows only names", () => {
  const user = { ...poorHost.user, name: null };
  const [note = ""] = plan(auto, { ...poorHost, user }).notes;
  assert.match(note, "uid 1000 has no subordinate ids");
  assert.match(
    note,
    "Have the line 1000:165536:65536 added to /etc/subuid, and 1000:265536:65536 added to /etc/subgid.",
  );
});

test("where other users have ids up to the end, no range of theirs is offered", () => {
  const freeSubids = { uid: 165536, gid: 4294967295 - 65535 };
  const [note = ""] = plan(auto, { ...poorHost, freeSubids }).notes;
  assert.match(note, "above the ranges of other users none are left in /etc/subgid");
  assert.not.match(note, "usermod");
  const last = { ...freeSubids, gid: 4294967295 - 65536 };
  assert.match(plan(auto, { ...poorHost, freeSubids: last }).notes[0] ?? "", "-4294967294 alice");
});

test("auto without the helpers is a single id, and says what to install", () => {
  const result = plan(auto, hostOf({ newgidmap: null }));
  assert.equal(render(result.uidMappings), "0:1000:1");
  assert.is(result.helpers, null);
  assert.is(result.denySetgroups, true);
  assert.is(result.notes.length, 1);
  assert.match(result.notes[0] ?? "", /newgidmap was not found.*apt install uidmap.*shadow-utils/);
});

test("what to do about an id that is missing inside depends on why it is", () => {
  const shortage = (host: Host, spec = specOf(auto)) => planIdMaps(spec, host).shortages.uid;
  const noHelpers = shortage(hostOf({ newuidmap: null, newgidmap: null }));
  assert.match(noHelpers.hint, "apt install uidmap");
  assert.match(noHelpers.why ?? "", "newuidmap and newgidmap were not found");
  assert.match(shortage(hostOf({ noNewPrivileges: true })).hint, "login shell");
  assert.match(shortage(poorHost).hint, "usermod --add-subuids 165536-231071 alice");
  assert.match(shortage(hostOf()).hint, /--uidmap, or get more ids\. .*--add-subuids 165536-2/);
  assert.is(shortage(rootHost()).hint, "Map it with --uidmap.");
  assert.is(shortage(hostOf(), specOf({ mode: "single" })).hint, "Leave out --userns=single.");
  const given = specOf(auto, maps("0:1000:1"));
  assert.is(shortage(hostOf(), given).hint, "Map it with --uidmap.");
  assert.match(planIdMaps(given, hostOf()).shortages.gid.hint, "get more ids");
});

test("uids and gids may differ in kind", () => {
  const noGids = plan(auto, hostOf({ subgids: [] }));
  assert.equal(render(noGids.uidMappings), "0:1000:1 1:100000:65536");
  assert.equal(render(noGids.gidMappings), "0:100:1");
  assert.equal(noGids.helpers, helpers);
  assert.is(noGids.denySetgroups, true);
  assert.match(noGids.notes[0] ?? "", "only your own gid exists inside");
  assert.match(noGids.notes[0] ?? "", "usermod --add-subgids 265536-331071 alice");
  const noUids = plan(auto, hostOf({ subuids: [] }));
  assert.equal(noUids.helpers, helpers);
  assert.is(noUids.denySetgroups, false);
});

test("subordinate ids that a container does not have are not used", () => {
  const ids = [{ start: 0, size: 65536 }];
  const result = plan(auto, hostOf({ namespaceIds: { uids: ids, gids: ids } }));
  assert.equal(render(result.uidMappings), "0:1000:1");
  assert.is(result.helpers, null);
  assert.match(result.notes[0] ?? "", "do not exist in this user namespace");
});

test("several ranges, the caller's own id among them, adjacent ones joined", () => {
  const subuids = [
    { start: 999, size: 3 },
    { start: 5000, size: 10 },
    { start: 5010, size: 10 },
  ];
  assert.equal(uids(auto, hostOf({ subuids })), "0:1000:1 1:999:1 2:1001:1 3:5000:20");
});

test("the caller's own line is not joined: newuidmap would refuse the whole", () => {
  const subuids = [{ start: 1001, size: 10 }];
  assert.equal(uids(auto, hostOf({ subuids })), "0:1000:1 1:1001:10");
  const before = hostOf({ subuids: [{ start: 990, size: 10 }] });
  assert.equal(uids({ mode: "keep-id", uid: 10 }, before), "0:990:10 10:1000:1");
});

test("single needs nothing and notes nothing", () => {
  for (const host of [hostOf(), poorHost]) {
    const result = plan({ mode: "single" }, host);
    assert.equal(render(result.uidMappings), "0:1000:1");
    assert.equal(render(result.gidMappings), "0:100:1");
    assert.is(result.helpers, null);
    assert.is(result.denySetgroups, true);
    assert.equal(result.notes, []);
  }
});

test("keep-id: the caller keeps its ids, the subordinate ids fill around them", () => {
  const result = plan({ mode: "keep-id" });
  assert.equal(render(result.uidMappings), "0:100000:1000 1000:1000:1 1001:101000:64536");
  assert.equal(render(result.gidMappings), "0:200000:100 100:100:1 101:200100:65436");
  assert.is(result.rootMapped, true);
});

test("keep-id with given ids, at the edges too", () => {
  assert.equal(uids({ mode: "keep-id", uid: 2 }), "0:100000:2 2:1000:1 3:100002:65534");
  assert.equal(uids({ mode: "keep-id", uid: 0 }), "0:1000:1 1:100000:65536");
  assert.equal(uids({ mode: "keep-id", uid: 4294967294 }), "0:100000:65536 4294967294:1000:1");
  const both = plan({ mode: "keep-id", gid: 7 });
  assert.equal(render(both.gidMappings), "0:200000:7 7:100:1 8:200007:65529");
});

test("keep-id with few subordinate ids, and with none", () => {
  const few = hostOf({ subuids: [{ start: 100000, size: 10 }] });
  assert.equal(uids({ mode: "keep-id" }, few), "0:100000:10 1000:1000:1");
  const none = plan({ mode: "keep-id" }, poorHost);
  assert.equal(render(none.uidMappings), "1000:1000:1");
  assert.is(none.rootMapped, false);
  assert.is(plan({ mode: "keep-id", uid: 0 }, poorHost).rootMapped, false);
  assert.is(plan({ mode: "keep-id", gid: 0 }, poorHost).rootMapped, false);
  assert.is(none.helpers, null);
  assert.is(none.denySetgroups, true);
  assert.is(none.notes.length, 1);
});

test("nomap: only subordinate ids", () => {
  assert.equal(uids({ mode: "nomap" }), "0:100000:65536");
  assert.equal(plan({ mode: "nomap" }).helpers, helpers);
  assert.match(
    failureOf(() => plan({ mode: "nomap" }, poorHost)),
    /--userns=nomap: map uids: alice has no subordinate ids in \/etc\/subuid\. .*usermod/,
  );
  assert.match(
    failureOf(() => plan({ mode: "nomap" }, hostOf({ newuidmap: null }))),
    "apt install uidmap",
  );
  assert.match(
    failureOf(() => plan({ mode: "nomap" }, rootHost())),
    "root has no subordinate ids",
  );
});

test("root maps without helpers, and keeps the host's numbers where it has no subordinate ids", () => {
  const result = plan(auto, rootHost({ newuidmap: null }));
  assert.equal(render(result.uidMappings), "0:0:4294967295");
  assert.is(result.helpers, null);
  assert.is(result.denySetgroups, false);
  assert.equal(result.notes, ["uids and gids inside are the host's own numbers"]);
  const withSubids = rootHost({ subuids: [{ start: 100000, size: 65536 }] });
  assert.equal(uids(auto, withSubids), "0:0:1 1:100000:65536");
  assert.equal(
    uids({ mode: "nomap" }, { ...withSubids, subgids: withSubids.subuids }),
    "0:100000:65536",
  );
  const single = plan({ mode: "single" }, rootHost());
  assert.equal(render(single.uidMappings), "0:0:1");
  assert.is(single.denySetgroups, false);
});

test("root inside a container has the container's ids", () => {
  const ids = [{ start: 0, size: 1000 }];
  const host = rootHost({ namespaceIds: { uids: ids, gids: ids } });
  assert.equal(uids(auto, host), "0:0:1000");
  assert.match(
    failureOf(() => explicit("0:1000:1", host)),
    "may not map the host's uids 1000",
  );
});

test("more ranges than the kernel takes are left out, but not the caller", () => {
  const subuids = Array.from({ length: 400 }, (_, i) => ({ start: 2000 + 2 * i, size: 1 }));
  const result = plan({ mode: "keep-id" }, hostOf({ subuids }));
  const text = result.uidMappings.map((m) => `${render([m])}\n`).join("");
  assert.ok(result.uidMappings.length <= 340);
  assert.ok(text.length < 4096, `${text.length} bytes`);
  assert.is(hostIdOf(result.uidMappings, 1000), 1000);
  assert.match(result.notes[0] ?? "", /^only \d+ of 401 ranges of uids fit/);
  const old = hostOf({ subuids, kernel: { release: "4.14.0", major: 4, minor: 14 } });
  assert.is(plan(auto, old).uidMappings.length, 5);
});

test("explicit maps win over the mode, and the other kind is made as in auto", () => {
  const spec = specOf({ mode: "nomap" }, maps("0:100000:10 10:1000:1"));
  const result = planIdMaps(spec, hostOf());
  assert.equal(render(result.uidMappings), "0:100000:10 10:1000:1");
  assert.equal(render(result.gidMappings), "0:100:1 1:200000:65536");
  assert.equal(result.helpers, helpers);
});

test("explicit maps are sorted and joined, and an empty list is none", () => {
  assert.equal(render(explicit("5:100005:5 0:100000:5").uidMappings), "0:100000:10");
  assert.equal(
    render(planIdMaps(specOf(auto, []), hostOf()).uidMappings),
    "0:1000:1 1:100000:65536",
  );
});

test("an explicit map of the own id alone needs no helper, at any id inside", () => {
  const result = explicit("5:1000:1", hostOf({ newuidmap: null, newgidmap: null }), "6:100:1");
  assert.is(result.helpers, null);
  assert.is(result.denySetgroups, true);
  assert.is(result.rootMapped, false);
});

test("a range that lies in two adjacent subordinate ranges is allowed", () => {
  const subuids = [
    { start: 5010, size: 10 },
    { start: 5000, size: 10 },
  ];
  assert.equal(render(explicit("0:5005:10", hostOf({ subuids })).uidMappings), "0:5005:10");
});

test("an explicit map that the user may not have names the line, the reason and the ranges", () => {
  const message = failureOf(() => explicit("0:1000:1 1:165530:10 50:0:1"));
  assert.is(message.split("\n").length, 2);
  assert.match(message, "uid map 1:165530:10: you may not map the host's uids 165530-165539");
  assert.match(message, "uid map 50:0:1: you may not map the host's uids 0");
  assert.match(message, "You may map 1000 on a line of its own, and of other uids: 100000-165535");
  assert.match(
    failureOf(() => explicit("0:1000:2")),
    "may not map the host's uids 1000-1001",
  );
  assert.match(
    failureOf(() => explicit("0:7:1", poorHost)),
    /other uids: none\. .*usermod/,
  );
  assert.match(
    failureOf(() => explicit("0:1000:1", hostOf(), "0:1000:1")),
    "gid map 0:1000:1",
  );
  assert.equal(render(explicit("0:5:7", rootHost()).uidMappings), "0:5:7");
});

test("overlaps, empty lines and ids past the end are refused", () => {
  assert.match(
    failureOf(() => explicit("0:100000:10 9:100100:10")),
    "uid map 9:100100:10: it overlaps 0:100000:10 inside: 0-9 and 9-18",
  );
  assert.match(
    failureOf(() => explicit("0:100000:10 20:100009:10")),
    "overlaps 0:100000:10 on the host: 100000-100009 and 100009-100018",
  );
  assert.match(
    failureOf(() => explicit("0:100000:0")),
    "size of 0 maps nothing",
  );
  assert.match(
    failureOf(() => explicit("4294967295:100000:1")),
    "past 4294967294",
  );
  assert.match(
    failureOf(() => explicit("0:4294967295:1", rootHost())),
    "past 4294967294",
  );
  assert.match(
    failureOf(() => explicit("1:0:4294967295", rootHost())),
    "past 4294967294",
  );
  assert.match(
    failureOf(() => explicit("0:0.5:1", rootHost())),
    "whole and not negative",
  );
  assert.equal(render(explicit("4294967294:1000:1").uidMappings), "4294967294:1000:1");
});

test("more explicit lines than the kernel takes", () => {
  const lines = (n: number) =>
    Array.from({ length: n }, (_, i) => `${2 * i}:${2 * i + 7}:1`).join(" ");
  assert.match(
    failureOf(() => explicit(lines(341), rootHost())),
    "uid map of 341 lines",
  );
  assert.is(explicit(lines(340), rootHost()).uidMappings.length, 340);
  const long = Array.from({ length: 300 }, (_, i) => `${4e9 + 2 * i}:${4e9 + 2 * i}:1`).join(" ");
  assert.match(
    failureOf(() => explicit(long, rootHost())),
    "4095 bytes",
  );
});

test("an explicit map that needs a missing helper", () => {
  const message = failureOf(() => explicit("0:100000:10", hostOf({ newuidmap: null })));
  assert.match(message, /^sbx: map subordinate ids: newuidmap was not found.*apt install uidmap/);
});

test("hostIdOf", () => {
  const mappings = maps("0:1000:1 1:100000:10");
  assert.equal(
    [0, 1, 10, 11].map((id) => hostIdOf(mappings, id)),
    [1000, 100000, 100009, null],
  );
});

test("no line reaches across two of the namespace above, as the kernel wants it", () => {
  const outer = [
    { start: 0, size: 1 },
    { start: 1, size: 65536 },
  ];
  const inContainer = rootHost({ namespaceIds: { uids: outer, gids: outer } });
  const auto = planIdMaps(specOf({ mode: "auto" }), inContainer);
  assert.is(render(auto.uidMappings), "0:0:1 1:1:65536");
  const explicit = planIdMaps(specOf({ mode: "auto" }, maps("5:0:100")), inContainer);
  assert.is(render(explicit.uidMappings), "5:0:1 6:1:99");
});

test("helpers that gain no rights are as good as none", () => {
  const host = hostOf({ noNewPrivileges: true });
  const auto = planIdMaps(specOf({ mode: "auto" }), host);
  assert.is(render(auto.uidMappings), "0:1000:1");
  assert.is(auto.helpers, null);
  assert.match(auto.notes.join(), "no_new_privs");
  assert.match(
    failureOf(() => planIdMaps(specOf({ mode: "nomap" }), host)),
    "no_new_privs",
  );
  assert.match(
    failureOf(() => planIdMaps(specOf({ mode: "auto" }, maps("0:100000:10")), host)),
    "no_new_privs",
  );
});

test("what is denied to the namespace above stays denied", () => {
  const host = rootHost({ setgroupsDenied: true });
  assert.is(planIdMaps(specOf({ mode: "auto" }), host).denySetgroups, true);
});

test.run();

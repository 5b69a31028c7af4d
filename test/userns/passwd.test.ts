import * as assert from "uvu/assert";
import { requireMapped } from "../../userns/mapped.js";
import { resolveUser } from "../../userns/passwd.js";
import { failureOf, maps } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const test = suite("userns/passwd");
const passwd = `root:x:0:0:root:/root:/bin/sh
# alice:x:7:7::/seven:
alice:x:1000:1001:Alice:/home/alice:/bin/bash
broken:x::5::/home/broken:/bin/sh
worse:x:12z:5::/home/broken:/bin/sh
short:x:2000:2001
1000:x:0:0:not uid 1000:/trap:/bin/sh
huge:x:4294967294:4294967293::/home/huge:
over:x:4294967295:1::/:
relative:x:3000:3000::home/relative:
nul:x:3001:3001::/home/n\0ul:
`;
const group = `root:x:0:
wheel:x:10:root,alice
users:x:100:alice,huge
again:x:100:alice
malformed:x:ten:alice
alicia:x:11:alicia
short:x:12
500:x:600:
`;
const resolve = (user?: string) => resolveUser(user, passwd, group);

test("root by default, with its groups", () => {
  const root = { uid: 0, gid: 0, additionalGids: [10], home: "/root", name: "root" };
  assert.equal(resolve(), root);
  assert.equal(resolve(""), root);
  assert.equal(resolveUser(undefined, null, null), { ...root, additionalGids: [] });
  assert.is(resolveUser(undefined, "toor:x:0:0::/toor:", null).home, "/toor");
});

test("by name: ids, home and supplementary groups", () => {
  const alice = { uid: 1000, gid: 1001, additionalGids: [10, 100], home: "/home/alice" };
  assert.equal(resolve("alice"), { ...alice, name: "alice" });
});

test("by number: the entry of that uid, and never one with that name", () => {
  assert.equal(resolve("1000"), resolve("alice"));
  assert.equal(resolve("01000"), resolve("alice"));
  assert.is(resolveUser("1000", "1000:x:0:0::/trap:", null).uid, 1000);
  assert.equal(resolve("77"), { uid: 77, gid: 0, additionalGids: [], home: "/", name: null });
  assert.equal(resolveUser("0", null, null), {
    uid: 0,
    gid: 0,
    additionalGids: [],
    home: "/",
    name: null,
  });
});

test("a group given leaves out the supplementary ones", () => {
  const alice = { uid: 1000, additionalGids: [], home: "/home/alice", name: "alice" };
  assert.equal(resolve("alice:wheel"), { ...alice, gid: 10 });
  assert.equal(resolve("alice:77"), { ...alice, gid: 77 });
  assert.equal(resolve("1000:wheel"), { ...alice, gid: 10 });
  assert.is(resolve("alice:500").gid, 500);
  assert.equal(resolve("88:99"), { uid: 88, gid: 99, additionalGids: [], home: "/", name: null });
  assert.equal(resolve(":wheel"), { ...resolve(), gid: 10, additionalGids: [] });
  assert.equal(resolve("alice:"), resolve("alice"));
});

test("malformed lines are passed over, short ones have no home", () => {
  for (const name of ["broken", "worse", "over", "nul"])
    assert.match(
      failureOf(() => resolve(name)),
      "no such user",
    );
  assert.equal(resolve("short"), {
    uid: 2000,
    gid: 2001,
    additionalGids: [],
    home: "/",
    name: "short",
  });
  assert.is(resolve("relative").home, "/");
  assert.match(
    failureOf(() => resolve("alice:malformed")),
    "no such group",
  );
  assert.is(resolve("alice:short").gid, 12);
});

test("ids to 2^32-2", () => {
  assert.equal(resolve("huge").uid, 4294967294);
  assert.equal(resolve("huge").gid, 4294967293);
  assert.is(resolve("4294967294:4294967294").gid, 4294967294);
  assert.match(
    failureOf(() => resolve("4294967295")),
    "user 4294967295: ids go from 0 to 4294967294",
  );
  assert.match(
    failureOf(() => resolve("0:99999999999")),
    "group 99999999999: ids go from",
  );
});

test("an unknown name comes with a hint", () => {
  assert.is(
    failureOf(() => resolve("alcie")),
    "sbx: user alcie: the rootfs's /etc/passwd has no such user. Did you mean alice? A number will do as well.",
  );
  assert.match(
    failureOf(() => resolve("postgres")),
    "Give a number or one of: root, alice, short, 1000, huge, relative.",
  );
  assert.match(
    failureOf(() => resolve("alice:whel")),
    "no such group. Did you mean wheel?",
  );
  assert.match(
    failureOf(() => resolve("-1")),
    "no such user",
  );
  assert.match(
    failureOf(() => resolve("alice:wheel:x")),
    "group wheel:x",
  );
  assert.match(
    failureOf(() => resolveUser("alice", null, group)),
    "user alice: the rootfs has no /etc/passwd that can be read. Give a number instead.",
  );
  assert.match(
    failureOf(() => resolveUser("0:wheel", passwd, null)),
    "no /etc/group",
  );
  assert.match(
    failureOf(() => resolveUser("alice", "", group)),
    "Give a number.",
  );
});

const shortages = {
  uid: { why: "newuidmap was not found", hint: "Install it." },
  gid: { why: null, hint: "Map it with --gidmap." },
};
const all = {
  shortages,
  uidMappings: maps("0:1000:1 1:100000:2000"),
  gidMappings: maps("0:100:1 1:200000:2000"),
};

test("a user whose ids are all mapped stays as it is", () => {
  const alice = resolve("alice");
  assert.equal(requireMapped(alice, { ...all, denySetgroups: false }), { user: alice, notes: [] });
});

test("an id without a mapping is refused, with what there is", () => {
  const single = {
    shortages,
    uidMappings: maps("0:1000:1"),
    gidMappings: maps("0:100:1"),
    denySetgroups: true,
  };
  assert.match(
    failureOf(() => requireMapped(resolve("alice"), single)),
    /run as uid 1000: it is not mapped into the sandbox, only 0 \(newuidmap was not found\)\. Choose another --user, or: Install it\.$/,
  );
  assert.match(
    failureOf(() => requireMapped(resolve("0:7"), single)),
    /run as gid 7: .*, only 0\. Choose another --user, or: Map it with --gidmap\.$/,
  );
  const few = { ...all, gidMappings: maps("0:100:1 1001:200000:1"), denySetgroups: false };
  assert.match(
    failureOf(() => requireMapped(resolve("alice"), few)),
    /run as supplementary gid 10: .*only 0, 1001\. .*--user 1000:1001/,
  );
});

test("where setgroups is denied supplementary groups are left out, with a note", () => {
  const denied = { ...all, denySetgroups: true };
  const { user, notes } = requireMapped(resolve("alice"), denied);
  assert.equal(user, { ...resolve("alice"), additionalGids: [] });
  assert.match(notes[0] ?? "", "supplementary groups are left out (10, 100)");
  assert.equal(requireMapped(resolve("77"), denied).notes, []);
});

test.run();

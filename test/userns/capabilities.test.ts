import * as assert from "uvu/assert";
import { capabilityMask, capabilityNames } from "../../spec/capabilities.js";
import { capabilitySets, defaultCapabilities, parseCapability } from "../../userns/capabilities.js";
import { failureOf } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const test = suite("userns/capabilities");
const sets = (uid: number, add: string[] = [], drop: string[] = []) =>
  capabilitySets({ add, drop, uid });

test("the default set is docker's, as a mask known from /proc/self/status in its containers", () => {
  assert.is(capabilityMask(defaultCapabilities), 0xa80425fbn);
});

test("names with or without CAP_, in any case", () => {
  for (const name of ["net_admin", "NET_ADMIN", "cap_net_admin", "Cap_Net_Admin"])
    assert.is(parseCapability(name), "CAP_NET_ADMIN");
  assert.is(parseCapability("all"), "ALL");
  for (const name of ["", "CAP_", "CAP_ALL", "NET", "CAP_CAP_CHOWN"])
    assert.is(parseCapability(name), null);
});

test("root holds its bounding set, and nothing inheritable or ambient", () => {
  const root = sets(0);
  assert.is(capabilityMask(root.bounding), 0xa80425fbn);
  assert.equal(root.effective, root.bounding);
  assert.equal(root.permitted, root.bounding);
  assert.equal([...root.inheritable, ...root.ambient], []);
});

test("another user holds only what was added, ambient too", () => {
  const none = sets(1000);
  assert.is(capabilityMask(none.bounding), 0xa80425fbn);
  assert.equal([...none.effective, ...none.permitted, ...none.inheritable, ...none.ambient], []);
  const one = sets(1000, ["NET_ADMIN", "chown"]);
  const added = ["CAP_CHOWN", "CAP_NET_ADMIN"];
  assert.equal(one.effective, added);
  assert.equal(one.permitted, added);
  assert.equal(one.inheritable, added);
  assert.equal(one.ambient, added);
  assert.is(capabilityMask(one.bounding), 0xa80425fbn | (1n << 12n));
});

test("adding and dropping, ALL included", () => {
  const without = defaultCapabilities.filter((name) => name !== "CAP_NET_RAW");
  assert.is(capabilityMask(sets(0, [], ["net_raw"]).bounding), capabilityMask(without));
  assert.equal(sets(0, [], ["ALL"]).bounding, []);
  assert.equal(sets(0, ["SYS_ADMIN"], ["ALL"]).bounding, ["CAP_SYS_ADMIN"]);
  assert.equal(sets(0, ["ALL"]).bounding, capabilityNames);
  assert.is(sets(0, ["ALL"], ["BPF"]).bounding.length, capabilityNames.length - 1);
  assert.not.ok(sets(5, ["ALL"], ["BPF"]).ambient.includes("CAP_BPF"));
  assert.equal(sets(0, ["CHOWN", "cap_chown"]).bounding, sets(0).bounding);
});

test("errors: unknown names, and what is both added and dropped", () => {
  assert.is(
    failureOf(() => sets(0, ["NET_ADMNI"])),
    "sbx: --cap-add NET_ADMNI: no such capability. Did you mean NET_ADMIN?",
  );
  assert.match(
    failureOf(() => sets(0, [], ["cap_setuidd"])),
    "--cap-drop cap_setuidd",
  );
  assert.match(
    failureOf(() => sets(0, ["qqqqqqqqqqqq"])),
    "capabilities(7) lists them",
  );
  assert.match(
    failureOf(() => sets(0, ["chown"], ["CAP_CHOWN"])),
    "--cap-add and --cap-drop CAP_CHOWN",
  );
  assert.match(
    failureOf(() => sets(0, ["ALL"], ["all"])),
    "both added and dropped",
  );
  assert.is(failureOf(() => sets(0, ["xxxxxxx"], ["yyyyyyy"])).split("\n").length, 2);
});

test.run();

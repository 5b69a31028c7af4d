/** Id maps of a user namespace that is made inside another one of the caller's. */
import * as assert from "uvu/assert";
import type { ParentIds } from "../../spec/host.js";
import type { Mapping } from "../../spec/spec.js";
import { planIdMaps } from "../../userns/idmap.js";
import { mapsWithin, type Parent } from "../../userns/within.js";
import { failureOf, hostOf, maps, poorHost, render, specOf } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const test = suite("maps within");
const caller = { uid: 1000, gid: 100 };
const parent = (uids: string, gids: string): Parent => {
  const ids: ParentIds = {
    uidMappings: maps(uids),
    gidMappings: maps(gids),
    denySetgroups: false,
  };
  return { what: "the sandbox web", ids, caller };
};
const unknown: Parent = { what: "/proc/7/ns/net", ids: null, caller };
const usual = parent("0:1000:1 1:100000:65536", "0:100:1 1:200000:65536");
const auto = planIdMaps(specOf({ mode: "auto" }), hostOf());
const renderOrNull = (lines: readonly Mapping[] | null | undefined) =>
  lines == null ? lines : render(lines);

test("the same map is the map of each id to itself", () => {
  const { nested, uidMappings, helpers, rootMapped, notes } = mapsWithin(auto, usual, false);
  assert.is(renderOrNull(nested?.uids), "0:0:1 1:1:65536");
  assert.is(renderOrNull(nested?.gids), "0:0:1 1:1:65536");
  assert.is(render(uidMappings), "0:1000:1 1:100000:65536");
  assert.is(helpers, auto.helpers);
  assert.is(rootMapped, true);
  assert.equal(notes, auto.notes);
});

test("another map names the same ids outside by their numbers above", () => {
  const kept = planIdMaps(specOf({ mode: "keep-id" }), hostOf());
  const { nested } = mapsWithin(kept, usual, false);
  assert.is(renderOrNull(nested?.uids), "0:1:1000 1000:0:1 1001:1001:64536");
});

test("ids that are not there above are left out, and that is told", () => {
  const few = parent("0:1000:1 1:100000:10", "0:100:1");
  const { nested, uidMappings, gidMappings, shortages, notes } = mapsWithin(auto, few, false);
  assert.is(render(uidMappings), "0:1000:1 1:100000:10");
  assert.is(render(gidMappings), "0:100:1");
  assert.is(renderOrNull(nested?.uids), "0:0:1 1:1:10");
  assert.is(shortages.uid.why, "the user namespace of the sandbox web has fewer ids");
  assert.match(notes.join(), /not all ids that it could have: .* has fewer ids/);
});

test("who asked for ids that are not there is told so", () => {
  const asked = planIdMaps(specOf({ mode: "auto" }, maps("0:1000:1 5:100020:1")), hostOf());
  const few = parent("0:1000:1 1:100000:10", "0:100:1 1:200000:65536");
  assert.is(
    failureOf(() => mapsWithin(asked, few, true)),
    "sbx: map these uids: the user namespace of the sandbox web has fewer ids. Give both the same map, or this one less",
  );
  const strangers = parent("0:100000:10", "0:200000:10");
  const single = planIdMaps(specOf({ mode: "single" }), hostOf());
  assert.match(
    failureOf(() => mapsWithin(single, strangers, false)),
    /^sbx: map ids: /,
  );
});

test("where nobody knows the ids above, the caller's is one of them", () => {
  const { nested, uidMappings, gidMappings, helpers, denySetgroups } = mapsWithin(
    auto,
    unknown,
    false,
  );
  assert.equal(nested, { uids: null, gids: null });
  assert.is(render(uidMappings), "0:1000:1");
  assert.is(render(gidMappings), "0:100:1");
  assert.equal([helpers, denySetgroups], [null, true]);
});

test("setgroups that is given up above stays given up", () => {
  const { uidMappings, gidMappings } = planIdMaps(specOf({ mode: "single" }), poorHost);
  const ids: ParentIds = { uidMappings, gidMappings, denySetgroups: true };
  const made = mapsWithin(auto, { what: "the sandbox web", ids, caller }, false);
  assert.is(made.denySetgroups, true);
});

test.run();

import * as assert from "uvu/assert";
import { didYouMean, editDistance, nearest } from "../../spec/nearest.js";
import { suite } from "../support/suite.js";

const test = suite("spec/nearest");

test("counts edits, a swap of neighbours as one", () => {
  assert.is(editDistance("", "abc"), 3);
  assert.is(editDistance("kitten", "sitting"), 3);
  assert.is(editDistance("hostnmae", "hostname"), 1);
  assert.is(editDistance("same", "same"), 0);
});

test("finds the nearest of several, case aside", () => {
  assert.is(nearest("hostnmae", ["domainname", "hostname", "host"]), "hostname");
  assert.is(nearest("CAP_NETADMIN", ["CAP_NET_RAW", "CAP_NET_ADMIN"]), "CAP_NET_ADMIN");
  assert.is(nearest("Runn", ["explain", "run"]), "run");
});

test("takes the beginning of a word for the word", () => {
  assert.is(nearest("comp", ["check", "completion"]), "completion");
});

test("is silent where nothing is near", () => {
  assert.is(nearest("frobnicate", ["hostname", "user"]), null);
  assert.is(nearest("x", ["e", "u", "w"]), null);
  assert.is(nearest("hotsauce", ["hostname"]), null);
  assert.is(nearest("word", []), null);
  assert.is(didYouMean("frobnicate", ["hostname"]), undefined);
  assert.is(didYouMean("usre", ["user"]), "Did you mean user?");
});

test.run();

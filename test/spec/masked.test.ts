import * as assert from "uvu/assert";
import { defaultSpec } from "../../spec/default.js";
import { maskRefusal } from "../../spec/masked.js";
import { suite } from "../support/suite.js";

const test = suite("spec/masked");

test("what belongs to one process, and the whole root, cannot be masked", () => {
  for (const path of [
    ...["/", "//", "/etc/..", "/proc/self", "/proc/self/", "/proc/self/environ"],
    ...["/proc/thread-self", "/proc/thread-self/maps", "/proc/1", "/proc/12/fd", "/proc//1/../2"],
    ...["/proc/mounts", "/proc/net", "/proc/net/tcp"],
  ]) {
    assert.type(maskRefusal(path), "string", path);
  }
});

test("all else can", () => {
  for (const path of [
    ...[
      "/proc",
      "/proc/kcore",
      "/proc/selfish",
      "/proc/1a",
      "/proc/sys/net",
      "/proc/self/../kcore",
    ],
    ...["/etc/passwd", "/self", "/srv/proc/self", "/proc/1/../kcore"],
    ...(defaultSpec("/").linux.maskedPaths ?? []),
  ]) {
    assert.is(maskRefusal(path), null, path);
  }
});

test.run();

import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { encodeCpio } from "./cpio.js";
import { temporaryDirectory } from "./inside.js";
import { start } from "./sandbox.js";
import { suite } from "./suite.js";

const test = suite("cpio");

test.needs("busybox", "what is packed is there when it is unpacked", async () => {
  const cwd = temporaryDirectory("cpio");
  // Sizes of names and contents with each remainder of four.
  const files = { "/a": "1", "/b/cc": "22", "/b/d/eee": "333", "/b/d/ffff": "4444", "/empty": "" };
  const { code, stderr } = await start(["busybox", "cpio", "-id"], {
    cwd,
    input: encodeCpio(files),
  });
  assert.equal([code, stderr.replace(/^\d blocks\n/, "")], [0, ""]);
  for (const [path, content] of Object.entries(files)) {
    assert.is(fs.readFileSync(join(cwd, path), "utf8"), content);
    assert.is(fs.statSync(join(cwd, path)).mode, 0o100755);
  }
  assert.is(fs.statSync(join(cwd, "b/d")).mode, 0o40755);
});

test.run();

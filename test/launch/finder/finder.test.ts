/** The finder as the `sbx` command itself: what it does not know it leaves to the launcher of its installation. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { installFinder } from "../../support/finder.js";
import { temporaryDirectory } from "../../support/inside.js";
import { start } from "../../support/sandbox.js";
import { suite } from "../../support/suite.js";

const test = suite("launch/finder/finder");

test("every command line that is not known reaches the launcher, byte for byte", async () => {
  const home = join(temporaryDirectory("finder"), "a b");
  const finder = installFinder(home, `printf '%s|' "$0" "$@"; exit 3`);
  const links = join(home, "bin");
  fs.mkdirSync(links);
  fs.symlinkSync(finder, join(links, "sbx"));
  fs.symlinkSync("sbx", join(links, "relative"));
  const launcher = `${fs.realpathSync(home)}/dist/../cmd/sbx`;
  for (const words of [
    [],
    [""],
    ["ps", "-a"],
    ["runs", "/", "true"],
    ["run"],
    ["run", "--user"],
    ["run", "/nowhere", " a  b", "*", "\n", ""],
    ["--network=none", "run", "/", "true"],
  ]) {
    for (const path of [finder, join(links, "sbx"), "./relative"]) {
      const { code, stdout, stderr } = await start([path, ...words], { cwd: links });
      assert.equal([code, stderr], [3, ""]);
      assert.equal(stdout, [launcher, "--cold", ...words].map((word) => `${word}|`).join(""));
    }
  }
});

test("an installation without a launcher", async () => {
  const home = temporaryDirectory("finder-alone");
  const finder = installFinder(home, "");
  fs.rmSync(join(home, "cmd"), { recursive: true });
  const { code, stdout, stderr } = await start([finder, "ps"]);
  assert.equal([code, stdout], [125, ""]);
  assert.match(stderr, /^sbx: start the launcher: .*cmd\/sbx.*Install sbx anew\n$/);
});

test.run();

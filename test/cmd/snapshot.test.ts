/** The snapshot that a build has made: a plain run starts in it, and nothing else does. */
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { busyboxRootfs } from "../support/rootfs.js";
import { command, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("snapshot");
let root = "";
let sbx = "";

/** This build, at another place, without what starts where the snapshot gives up. */
test.before(async () => {
  root = fs.mkdtempSync(join(tmpdir(), "sbx-snapshot-"));
  sbx = join(root, "cmd/sbx");
  fs.mkdirSync(dirname(sbx));
  fs.copyFileSync(command, sbx);
  fs.cpSync(join(dirname(command), "../dist"), join(root, "dist"), { recursive: true });
  fs.writeFileSync(join(root, "dist/sbx.cjs"), `console.log("anew");`);
  // What has just changed is not relied on: launch/cache/entry-checks.ts.
  await sleep(100);
});
test.after(() => fs.rmSync(root, { recursive: true, force: true }));

const run = (flags: readonly string[], env: Record<string, string> = {}) =>
  start(
    [sbx, "run", "--network=none", ...flags, busyboxRootfs(), "sh", "-c", "echo $0 $MINE", "here"],
    { env: { XDG_CACHE_HOME: root, ...env } },
  );

test.needs(
  ["user namespaces", "busybox"],
  "a plain run, with the caller's own environment",
  async () => {
    const plain = await run(["--env=MINE"], { MINE: "too" });
    assert.equal([plain.stdout, plain.stderr], ["here too\n", ""]);
    const kept = fs.readdirSync(join(root, "sbx/programs"));
    assert.is(kept.filter((name) => name.endsWith(".run")).length, 1);
    // The program itself begins anew, through the launcher of this place.
    const [program = ""] = kept.filter((name) => !name.endsWith(".run"));
    assert.match(fs.readFileSync(join(root, "sbx/programs", program), "latin1"), sbx);
  },
);

test("V8's cache is that of the very Node that built", () => {
  const names = fs.readdirSync(join(root, "dist")).filter((name) => name.endsWith(".cache"));
  assert.equal(names, [`main-${process.version}-${process.arch}.cache`]);
});

test.needs(
  ["busybox", "bash"],
  "leaves to the whole of sbx what can be done once only, and what goes wrong",
  async () => {
    for (const words of ["--env-file <(echo MINE=1) / true", "--status-fd=3 / true 3>/dev/null"]) {
      const result = await start(["bash", "-c", `exec "$0" run --no-cache ${words}`, sbx]);
      assert.equal([result.stdout, result.stderr], ["anew\n", ""], words);
    }
    for (const flags of [["--no-such"], ["--detach"], ["--help"]]) {
      const result = await run(flags);
      assert.equal([result.stdout, result.stderr], ["anew\n", ""], flags.join());
    }
  },
);

test.run();

/** Files for ids that are not there: what a sandbox with one id says about it. */
import * as assert from "uvu/assert";
import { attempt } from "../support/inside.js";
import { ruled } from "../support/profile.js";
import { suite } from "../support/suite.js";

const test = suite("owners");
const needs = ["unprivileged", "user namespaces", "busybox"] as const;

const said =
  /^sbx: give a file to another user or group: only one of each exists inside \(EINVAL\)\. Leave out --userns=single\.$/gm;

/** How a script under a single id ends, and how often that was said. */
async function run(script: string, ...options: string[]) {
  const { code, stderr } = await attempt(["--userns=single", ...options], script);
  return { code, stderr, count: stderr.match(said)?.length ?? 0 };
}

for (const [what, script] of [
  ["chown to a user", "touch /f; chown 1000 /f"],
  ["chown to a group", "touch /f; chown :1000 /f"],
  ["a link's owner", "ln -s x /l; chown -h 5:5 /l"],
] as const) {
  test.needs(needs, `${what}: it fails with EINVAL, and sbx says why, once`, async () => {
    for (const more of [[], ["--no-init"], ["--tty"]]) {
      const { code, count, stderr } = await run(`${script}; ${script}`, ...more);
      assert.is.not(code, 0);
      assert.is(count, 1, stderr);
    }
  });
}

test.needs(needs, "what changes nothing, or succeeds, is not spoken of", async () => {
  const script = "touch /f; chown 0:0 /f && chown :0 /f && chmod 600 /f";
  assert.equal(await run(script), { code: 0, stderr: "", count: 0 });
});

const full = [...needs, "subids"] as const;
test.needs(full, "nor is anything where more ids are mapped", async () => {
  const { stderr } = await attempt([], "touch /f; chown 70000 /f");
  assert.match(stderr, /Invalid argument/);
  assert.not.match(stderr, /give a file/);
});

test.needs(needs, "where a profile has an answer of its own, that one holds", async () => {
  const chown = ["chown", "fchown", "lchown", "fchownat"];
  const refused = ruled({ names: chown, action: "SCMP_ACT_ERRNO", errnoRet: 1 });
  for (const options of [refused, ruled({ names: ["chmod"], action: "SCMP_ACT_LOG" })]) {
    const { code, count } = await run("touch /f; chown 5 /f", ...options);
    assert.is(code, 1);
    assert.is(count, 0);
  }
});

test.run();

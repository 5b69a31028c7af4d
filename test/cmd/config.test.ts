import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import ini from "ini";
import * as assert from "uvu/assert";
import { combine, parseConfig, siteConfig, userConfig, withConfig } from "../../cmd/config.js";
import type { Flags } from "../../cmd/options/run.js";
import { suite } from "../support/suite.js";

const test = suite("cmd/config");

const parse = (text: string) => parseConfig("/c/x.ini", text, ini);

/** withConfig on a machine that has these files. */
function on(files: Record<string, string>, flags: Flags, variables: Record<string, string> = {}) {
  const readFile = (path: string) => files[path] ?? null;
  return withConfig(flags, { variables, home: "/home/a", readFile });
}

const user = "/home/a/.config/sbx/sbx.ini";

test("reads sections, lists, toggles, quotes and comments", () => {
  const { run, profiles } = parse(
    `
; a comment
[run]
hostname = box   ; named
umask = 027
cap-add[] = KILL
cap-add = CHOWN,FOWNER
env = A=b=c
env = "B= spaced; "
no-such = 1`.replace(/\nno-such.*/, "") +
      `
read-only
init = false
tty = true
entrypoint = '["sh", "-c"]'
net = host
[profile build.it]
user = 1e3
[profile  other ] # two
hostname = true
`,
  );
  assert.equal(
    { ...run },
    {
      hostname: "box",
      umask: "027",
      "cap-add": ["KILL", "CHOWN,FOWNER"],
      env: ["A=b=c", "B= spaced; "],
      "read-only": true,
      init: false,
      tty: true,
      entrypoint: '["sh", "-c"]',
      network: ["host"],
    },
  );
  assert.equal([...profiles.keys()], ["build.it", "other"]);
  assert.equal(profiles.get("build.it"), { user: "1e3" });
  assert.equal(profiles.get("other"), { hostname: "true" });
});

test("files named in a file are found beside it", () => {
  assert.equal(parse("[run]\nenv-file = vars\nenv-file = /abs").run["env-file"], [
    "/c/vars",
    "/abs",
  ]);
});

test("so is a profile, which a word is not", () => {
  const text = "[run]\nsecurity-opt = seccomp=p.json\nsecurity-opt = seccomp=default\n";
  const { run } = parse(`${text}security-opt = mask=/a\nseccomp = p.json`);
  assert.equal(run["security-opt"], ["seccomp=/c/p.json", "seccomp=default", "mask=/a"]);
  assert.is(run.seccomp, "/c/p.json");
  assert.is(parse("[run]\nseccomp = unconfined").run.seccomp, "unconfined");
});

test("of the ways to name a profile the strongest place counts", async () => {
  const files = { [siteConfig]: "[run]\nseccomp=unconfined\n[profile p]\nseccomp=/p.json\n" };
  const options = async (flags: Flags) => (await on(files, flags))["security-opt"]?.at(-1);
  assert.is(await options({}), "seccomp=unconfined");
  assert.is(await options({ profile: ["p"] }), "seccomp=/p.json");
  assert.is(
    await options({ profile: ["p"], "security-opt": ["seccomp=default"] }),
    "seccomp=default",
  );
  assert.is(await options({ seccomp: "default" }), "seccomp=default");
});

const wrong: [string, RegExp][] = [
  ["[run]\n\nhostnam = x", /^sbx: \/c\/x\.ini:3: no such key: hostnam\. Did you mean hostname\?$/],
  ["[run]\r\n\r\nhostnam = x", /x\.ini:3:/],
  ["[run]\n__proto__ = x", /:2: no such key: __proto__/],
  ["[run]\nu = x", /no such key: u/],
  ["[runn]", /:1: no such section: \[runn\]\. Did you mean run\?/],
  ["[profle x]", /:1: no such section: \[profle x\]\. Did you mean profile NAME\?/],
  ["[profile]", /no such section/],
  ["[run", /is no section/],
  ["hostname = x", /:1: hostname = x is in no section/],
  ["[run]\numask = 9z", /:2: umask = 9z: must be an octal/],
  [
    "[run]\npid = hots",
    /:2: pid = hots: must be private, host or container:NAME\. Did you mean host\?/,
  ],
  ["[run]\ninit = maybe", /:2: init = maybe: must be true or false/],
  ["[run]\nhostname", /:2: hostname: needs a value/],
  ["[run]\nhostname =", /:2: hostname =.*must not be empty/],
  ["[run]\nhostname[] = x", /takes one value, not a list/],
  ["[run]\nconfig = x", /:2: config: can only be given on the command line/],
  ["[profile a]\nprofile = b", /:2: profile: can only/],
];

for (const [text, expected] of wrong) {
  test(`refuses ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => parse(text),
      (error: Error) => expected.test(error.message) && !error.message.includes("\n"),
    );
  });
}

test("is stronger from the site's file to the command line", async () => {
  const files = {
    [siteConfig]: "[run]\nhostname=site\nuser=site\numask=1\nworkdir=/site\npid=host\nenv=S=1\n",
    [user]:
      "[run]\nhostname=user\nuser=user\numask=2\nworkdir=/user\nenv=U=1\n[profile p]\nhostname=p\nuser=p\n",
    "/given":
      "[run]\nhostname=given\nuser=given\numask=3\nenv=G=1\n[profile q]\nhostname=q\nenv=Q=1\n",
  };
  const flags = { config: "/given", profile: ["p", "q"], hostname: "line", env: ["L=1"] };
  assert.equal(await on(files, flags), {
    config: "/given",
    profile: ["p", "q"],
    hostname: "line",
    user: "p",
    umask: "3",
    workdir: "/user",
    pid: "host",
    env: ["S=1", "U=1", "G=1", "Q=1", "L=1"],
  });
  const swapped = await on(files, { config: "/given", profile: ["q", "p"] });
  assert.is(swapped.hostname, "p");
  assert.is((await on(files, { profile: ["p"] })).umask, "2");
});

test("a profile may be spread over files", async () => {
  const files = {
    [siteConfig]: "[profile p]\nuser=site\nhostname=site",
    [user]: "[profile p]\nuser=me",
  };
  assert.equal(await on(files, { profile: ["p"] }), {
    profile: ["p"],
    user: "me",
    hostname: "site",
  });
});

test("what is given takes the place of what it excludes in a weaker place", () => {
  const config = parse("[run]\nread-only\nuidmap = 0:1:1\ngidmap = 0:1:1");
  assert.equal(combine([config], { "in-place": true, userns: "single" }), {
    "in-place": true,
    userns: "single",
  });
  assert.is(combine([config], { "in-place": false })["read-only"], true);
});

test("changes nothing where there are no files", async () => {
  assert.equal(await on({}, { hostname: "x" }), { hostname: "x" });
  assert.equal(await on({ [user]: "" }, {}), {});
});

test("loads ini only where there is a file, bundled as well", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sbx-config-"));
  try {
    await build({
      entryPoints: [fileURLToPath(new URL("../../cmd/config.ts", import.meta.url))],
      outdir: directory,
      outExtension: { ".js": ".mjs" },
      ...({ bundle: true, splitting: true, format: "esm", platform: "node" } as const),
    });
    const bundled: typeof import("../../cmd/config.js") = await import(
      pathToFileURL(join(directory, "config.mjs")).href
    );
    const environment = (text: string | null) => ({
      variables: {},
      home: "/home/a",
      readFile: (path: string) => (path === user ? text : null),
    });
    const flags = await bundled.withConfig({}, environment("[run]\nhostname = 'x'"));
    assert.equal(flags, { hostname: "x" });
    assert.not.match(readFileSync(join(directory, "config.mjs"), "utf8"), "bracketedArray");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("finds the user's file through XDG_CONFIG_HOME", async () => {
  const at = (variables: Record<string, string>) =>
    userConfig({ variables, home: "/home/a", readFile: () => null });
  assert.is(at({}), user);
  assert.is(at({ XDG_CONFIG_HOME: "/x" }), "/x/sbx/sbx.ini");
  assert.is(at({ XDG_CONFIG_HOME: "relative" }), user);
  const { hostname } = await on(
    { "/x/sbx/sbx.ini": "[run]\nhostname=x" },
    {},
    { XDG_CONFIG_HOME: "/x" },
  );
  assert.is(hostname, "x");
});

/** The message of what a promise fails with. */
async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}

test("requires the file of --config and the profiles asked for", async () => {
  assert.match(await failure(on({}, { config: "/none" })), /^sbx: --config \/none: No such file/);
  assert.match(await failure(on({}, { profile: ["p"] })), /--profile p: no such profile/);
  const files = { [user]: "[profile build]\n[profile test]" };
  assert.match(await failure(on(files, { profile: ["biuld"] })), /Did you mean build\?/);
  assert.match(await failure(on(files, { profile: ["zzz"] })), /There are build, test/);
});

test.run();

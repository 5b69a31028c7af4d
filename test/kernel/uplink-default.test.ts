/** What a sandbox is connected with where nothing is said, and what is never connected with anything. */
import { join } from "node:path";
import * as assert from "uvu/assert";
import { temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { command, start } from "../support/sandbox.js";
import { findInPath } from "../support/skip.js";
import { suite } from "../support/suite.js";
import { here, makeWorld, type World } from "../support/world.js";

const test = suite("uplink-default");
const needed = [
  "unprivileged",
  "user namespaces",
  "busybox",
  "a network world",
  "pasta",
  "slirp4netns",
] as const;

let world: World;
test.before(async () => {
  world = await makeWorld();
});
test.after(() => world.end());

/** `sbx` with these words in the world, without a configuration, other programs in place of the helpers. */
function sbxWith(replaced: { pasta?: string; slirp4netns?: string }, ...words: string[]) {
  const mounts = Object.entries(replaced).map(
    ([helper, by]) => `mount --bind ${by} ${findInPath(helper)} && `,
  );
  const script = `${mounts.join("")}exec "$@"`;
  const line = [...world.here, "unshare", "--mount", "sh", "-c", script, "sh", command, ...words];
  const env = { XDG_CONFIG_HOME: "/dev/null", XDG_RUNTIME_DIR: "/world", XDG_DATA_HOME: directory };
  return start(line, { env });
}
const absent = "/dev/null";
const directory = temporaryDirectory("uplink-default");

const show = ["--userns=single", busyboxRootfs(), "ip", "-o", "-4", "address"];
/** The addresses of a sandbox, and what is said on stderr. */
async function addresses(replaced: Parameters<typeof sbxWith>[0], ...options: string[]) {
  const { stdout, stderr } = await sbxWith(replaced, "run", ...options, ...show);
  return [[...stdout.matchAll(/ inet ([\d.]+)/g)].map(([, address]) => address), stderr];
}

test.needs(needed, "pasta, then slirp4netns, then nothing with one line", async () => {
  assert.equal(await addresses({}), [["127.0.0.1", here.ipv4], ""]);
  assert.equal(await addresses({ pasta: absent }), [["127.0.0.1", "10.0.2.100"], ""]);
  const [own, line] = await addresses({ pasta: absent, slirp4netns: absent });
  assert.equal(own, ["127.0.0.1"]);
  assert.match(
    `${line}`,
    /^sbx: there is no network: pasta was [^\n]*; slirp4netns was [^\n]*\. Install passt[^\n]*\n$/,
  );
});

test.needs(needed, "--network=none is silent", async () => {
  const none = await addresses({ pasta: absent, slirp4netns: absent }, "--network=none");
  assert.equal(none, [["127.0.0.1"], ""]);
});

test.needs(needed, "what is no sandbox of the user's starts no helper", async () => {
  const upper = join(directory, "upper");
  const broken = { pasta: "/bin/false" };
  // Seen to matter: a run by default does start it.
  assert.match(`${await addresses(broken)}`, "start pasta: it ended before it was ready");
  for (const words of [
    ["run", "--network=none", "--userns=single", `--upper=${upper}`, busyboxRootfs(), "true"],
    ["unshare", "true"],
    ["volume", "create", "uplink-default"],
    ["volume", "rm", "uplink-default"],
    ["rm", upper],
  ]) {
    const { code, stderr } = await sbxWith(broken, ...words);
    assert.equal([words.join(" "), code, stderr], [words.join(" "), 0, ""]);
  }
});

test.run();

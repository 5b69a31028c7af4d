/**
 * What a hostile sandbox can do to `sbx cp` and `sbx export`: lead them to files of the host's by links that change
 * meanwhile (CVE-2018-15664), or have them load its own files (CVE-2019-14271).
 */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type Canary, makeCanary } from "../support/canary.js";
import { temporaryDirectory } from "../support/inside.js";
import { patienceMs, sbx } from "../support/sandbox.js";
import { started } from "../support/started.js";
import { suite } from "../support/suite.js";

const test = suite("escape by copy");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay", "subids"] as const;
const directory = temporaryDirectory("escape-copy");
process.env.XDG_RUNTIME_DIR = directory;
const everything = ["--cap-add=ALL", "--security-opt=seccomp=unconfined"];

/** A sandbox `box` that does that, as long as `act` takes; gives what it printed. */
const box = async (options: readonly string[], script: string, act: () => Promise<void>) => {
  const { out } = await started(
    ["--name=box", "--network=none", ...everything, ...options],
    `${script}\necho ready; exec sleep 600`,
    (pid) => act().finally(() => process.kill(pid, "SIGTERM")),
  );
  return out;
};

/** Whatever comes of it, the canary is as it was, and nothing of it comes out. */
async function harmless(canary: Canary, out: string, ...words: string[]): Promise<void> {
  const { stdout, stderr, signal } = await sbx(["cp", ...words], { cwd: directory });
  assert.is(signal, null);
  const got: string[] = [];
  const read = (path: string) => {
    const stats = fs.lstatSync(path, { throwIfNoEntry: false });
    if (stats?.isDirectory()) for (const name of fs.readdirSync(path)) read(join(path, name));
    if (stats?.isFile()) got.push(fs.readFileSync(path, "latin1"));
  };
  read(out);
  canary.check(`${stdout}${got.join()}${stderr}`.replaceAll(canary.path, ""));
  fs.rmSync(out, { recursive: true, force: true });
}

test.needs(needs, "no link leads out, also when it is another each moment", async () => {
  const canary = makeCanary();
  const { path } = canary;
  // The same path is there inside, so that both ways can be gone.
  const script = `
    mkdir -p /d/way /real /up; echo inside >/real/file; echo inside >/d/way/file; mkdir -p ${path}
    ln -s ${path} /abs; ln -s ../../../../../../..${path} /rel; ln -s /proc/1/root${path} /magic; ln -s /proc/self/root /self
    ( while :; do
        rm -rf /d/way; ln -s ${path} /d/way; rm /d/way; ln -s /proc/1/root${path} /d/way; rm /d/way
        mkdir /d/way; echo inside >/d/way/file; mv /d/way /up/w; mv /up/w /d/way
        rm -f /real/file; ln -s ${path}/file /real/file; rm /real/file; echo inside >/real/file
      done ) 2>/dev/null &`;
  await box([], script, async () => {
    fs.writeFileSync(join(directory, "mine"), "mine");
    fs.mkdirSync(join(directory, "tree/directory"), { recursive: true });
    fs.writeFileSync(join(directory, "tree/directory/file"), "mine");
    const out = join(directory, "out");
    for (const way of ["/abs", "/rel", "/magic", `/self${path}`]) {
      await harmless(canary, out, "-L", `box:${way}`, "out");
      await harmless(canary, out, "mine", `box:${way}/file`);
    }
    for (const end = Date.now() + 5000; Date.now() < end; ) {
      await Promise.all([
        harmless(canary, out, "-L", "box:/d", "out"),
        harmless(canary, join(directory, "out2"), "-L", "box:/d/way/file", "out2"),
        harmless(canary, join(directory, "out3"), "-L", "box:/real/file", "out3"),
        harmless(canary, out, "--overwrite", "tree/.", "box:/d/way"),
        harmless(canary, out, "--overwrite", "-a", "mine", "box:/real/file"),
      ]);
    }
  });
});

test.needs(needs, "nothing of the sandbox's is loaded or executed (CVE-2019-14271)", async () => {
  const trap = `
    for place in /lib /lib64 /usr/lib /lib/x86_64-linux-gnu; do
      mkdir -p $place; for name in libc.so.6 libnss_files.so.2 libdl.so.2 ld-linux-x86-64.so.2; do
        mkfifo $place/$name; done; done
    mkfifo /etc/ld.so.preload /etc/ld.so.cache /etc/nsswitch.conf`;
  // Who opened one of these would wait for ever.
  await box([], trap, async () => {
    const { code, stderr } = await sbx(["cp", "box:/etc/group", "-"], { timeoutMs: patienceMs });
    assert.equal([code, stderr], [0, ""]);
    assert.is((await sbx(["export", "-o", join(directory, "x"), "box"])).code, 0);
  });
});

test.run();

/** `sbx compile`: files that start sandboxes by themselves. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { sbx, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("compile");
const needs = ["unprivileged", "user namespaces", "busybox"] as const;
const own = ["--userns=single", "--network=none"];
const directory = temporaryDirectory("compile");

/** Compiles to a new file, and gives its path. */
async function compiled(options: readonly string[], ...command: string[]): Promise<string> {
  const path = join(directory, `program${fs.readdirSync(directory).length}`);
  const words = ["compile", "-o", path, ...options, busyboxRootfs(), ...command];
  const { code, stdout, stderr } = await sbx(words);
  assert.equal([code, stdout, stderr], [0, "", ""]);
  return path;
}

/** Where there is neither Node nor sbx. */
const alone = { env: { PATH: "/nonexistent", NODE_OPTIONS: undefined } };

test.needs(needs, "the file's arguments are a command in the compiled one's stead", async () => {
  const program = await compiled(own, "echo", "compiled in");
  const output = async (...words: string[]) => (await start([program, ...words], alone)).stdout;
  assert.is(await output(), "compiled in\n");
  assert.is(await output("sh", "-c", 'echo "$0"', "a b"), "a b\n");
  assert.is(await output("echo", "--sbx-info"), "--sbx-info\n");
  const { code, stderr } = await start([program, "--sbx-info", "x"], alone);
  assert.match(stderr, /^sbx: run --sbx-info: No such file or directory/);
  assert.is(code, 127);
  const shell = await start([await compiled(own)], { ...alone, input: "echo $$; exit 3" });
  assert.equal([shell.stdout, shell.code], ["2\n", 3]);
});

test.needs(needs, "it may be moved, and tells what it was made from", async () => {
  const moved = join(directory, "moved");
  fs.renameSync(await compiled([...own, "-e", "A=b"], "id", "-u"), moved);
  assert.is((await start([moved], alone)).stdout, "0\n");
  const { code, stdout, stderr } = await start([moved, "--sbx-info"], alone);
  assert.equal([code, stderr], [0, ""]);
  const info = JSON.parse(stdout);
  assert.equal(info.options, { userns: "single", network: ["none"], env: ["A=b"] });
  assert.equal(info.spec.process.args, ["id", "-u"]);
  assert.is(info.spec.root.path, busyboxRootfs());
  assert.equal([info.uid, info.helpers], [null, []]);
  assert.equal(info.uidMappings, [{ containerID: 0, hostID: null, size: 1 }]);
  assert.match(info.kernel, /^\d+\.\d+$/);
});

test.needs(
  needs,
  "the same input gives the same bytes, executable by all, whatever the umask",
  async () => {
    const first = await compiled(own, "true");
    const path = join(directory, "second");
    const words = `umask 077; exec "$@"`;
    const again = ["sh", "-c", words, "sh", "cmd/sbx", "compile", `-o${path}`, ...own];
    await start([...again, busyboxRootfs(), "true"]);
    assert.ok(fs.readFileSync(first).equals(fs.readFileSync(path)));
    assert.is(fs.statSync(path).mode & 0o7777, 0o755);
  },
);

test.needs(needs, "one id inside is that of whoever starts it", async () => {
  const program = await compiled(own, "cat", "/proc/self/uid_map");
  // Another uid than the compiler's, if only in a namespace.
  const another = ["unshare", "-U", "--map-user=5", "--map-group=6", program];
  const { stdout, stderr } = await start(another);
  assert.equal([stdout.trim().split(/ +/), stderr], [["0", "5", "1"], ""]);
});

test.needs(
  [...needs, "subids", "slirp4netns"],
  "what is missing is told, all of it, at first",
  async () => {
    const helper = join(directory, "slirp4netns");
    fs.writeFileSync(helper, "#!/bin/sh\n", { mode: 0o755 });
    const path = join(directory, "needy");
    const options = ["--network=slirp4netns", "--status-fd=3"];
    await sbx(["compile", "-o", path, ...options, busyboxRootfs()], {
      env: { PATH: `${directory}:${process.env.PATH}` },
    });
    fs.rmSync(helper);
    const another = ["sh", "-c", 'unshare -U --map-user=5 "$0" 3>&2', path];
    const { code, stderr } = await start(another);
    assert.equal(
      [code, stderr],
      [
        125,
        `sbx: start: this program was compiled for the user with uid ${process.getuid?.()}, and this is another one. Compile it as that user, or with --userns=single, which is for everybody
sbx: start: this program needs ${helper}, which is not there or cannot be executed. Install it at that path, or compile the program on a machine that is like this one
{"event":"error","step":"start","why":"something that the program needs is not there","exitCode":125}
`,
      ],
    );
  },
);

test.needs(needs, "for another architecture it is a program of that", async () => {
  for (const [name, machine] of [
    ["x86_64", 62],
    ["aarch64", 183],
  ] as const) {
    const bytes = fs.readFileSync(await compiled([...own, `--arch=${name}`], "true"));
    assert.is(bytes.readUInt16LE(18), machine);
  }
});

test.needs(needs, "what cannot be compiled is refused, and nothing is written", async () => {
  const path = join(directory, "refused");
  const line = async (...words: string[]) => {
    const { code, stdout, stderr } = await sbx(["compile", ...words, busyboxRootfs()]);
    assert.equal([code, stdout], [125, ""]);
    return stderr.trimEnd();
  };
  assert.match(await line(), /^sbx: compile: no file is named for the program\. /);
  assert.match(await line("-o", path, "--name=x"), /^sbx: compile --name x: .*not kept track of/);
  assert.match(await line("-o", path, "-d"), /^sbx: compile --detach: what runs in the background/);
  assert.match(await line("-o", path, "--kernel=new"), /^sbx: --kernel new: must be X\.Y/);
  assert.match(await line("-o", directory), /^sbx: write the program to .*\(EISDIR\)/);
  assert.not(fs.existsSync(path));
});

test.run();

/** The launcher with a stand-in for the compiler, under each shell that may be /bin/sh. */
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { command, start } from "../support/sandbox.js";
import { findInPath } from "../support/skip.js";
import { suite } from "../support/suite.js";

const test = suite("launcher");
const shells = [["dash"], ["bash", "--posix"], ["busybox", "ash"]] as const;
let root = "";

/** An installation whose compiler is the given JavaScript; its path has a space in it. */
function install(compiler: string | null): string {
  const home = fs.mkdtempSync(join(root, "in stall-"));
  fs.mkdirSync(join(home, "cmd"));
  fs.copyFileSync(command, join(home, "cmd/sbx"));
  fs.writeFileSync(join(home, "package.json"), `{"type":"module"}`);
  if (compiler !== null) {
    fs.mkdirSync(join(home, "dist"));
    fs.writeFileSync(join(home, "dist/sbx.cjs"), compiler);
  }
  return join(home, "cmd/sbx");
}

const print = (text: string) => `console.log(${JSON.stringify(text)});`;

/** A compiler whose program is busybox, at a path with a space. */
function busybox(shift = 1): string {
  const path = join(root, "pro gram", "busybox");
  fs.mkdirSync(join(root, "pro gram"), { recursive: true });
  if (!fs.existsSync(path)) fs.copyFileSync(findInPath("busybox") ?? "", path);
  fs.chmodSync(path, 0o755);
  return print(`exec ${shift} ${path}`);
}

test.before(() => {
  root = fs.mkdtempSync(join(tmpdir(), "sbx-launcher-"));
});
test.after(() => {
  fs.rmSync(root, { recursive: true, force: true });
});

for (const shell of shells) {
  const name = shell.join(" ");
  const needs = [shell[0], "busybox"] as const;

  test.needs(needs, `${name}: becomes the program, arguments byte for byte`, async () => {
    const sbx = install(busybox(2));
    const words = ["run", "option", "sh", "-c", 'printf "%s|" "$@"', "0", " a  b", "", "*", "\n"];
    const result = await start([...shell, sbx, ...words]);
    assert.is(result.stderr, "");
    assert.is(result.stdout, " a  b||*|\n|");
    const raw = await start([
      "sh",
      "-c",
      `exec "$@" "$(printf '\\377')"`,
      "0",
      ...shell,
      sbx,
      ...["run", "option", "printf", "%s"],
    ]);
    assert.equal([...raw.bytes], [255]);
  });

  test.needs(needs, `${name}: signals, mask, limits, umask, stdio and fds stay`, async () => {
    const sbx = install(busybox());
    const look = "cat /proc/self/status; ulimit -Sn; umask; cat; ls -l /proc/self/fd/";
    const settings = ["env", "--ignore-signal=HUP,USR1", "--block-signal=USR2"];
    const inSettings = (...words: string[]) =>
      start(["sh", "-c", `umask 027; ulimit -Sn 321; exec "$@" 7<&0`, "0", ...settings, ...words], {
        input: "in\0put",
      });
    const direct = await inSettings("busybox", "sh", "-c", look);
    const through = await inSettings(...shell, sbx, "run", "sh", "-c", look);
    const facts = (text: string) => [
      ...(text.match(/^Sig(Ign|Blk|Cgt):.*/gm) ?? []),
      /^321\n.*\nin\0put/m.exec(text)?.[0],
      ...(text.match(/ \d+ -> (pipe|socket|\/)/g) ?? []),
    ];
    assert.ok(/ 7 -> /.test(direct.stdout));
    assert.equal(facts(through.stdout), facts(direct.stdout));
  });

  test.needs(needs, `${name}: a program that cannot be executed`, async () => {
    for (const path of ["/etc/passwd", "/nowhere/pro gram"]) {
      for (const [answer, stdout] of [
        [`exec 1 ${path}`, ""],
        [`each 0\n${path}\nanother`, "another\n"],
      ] as const) {
        const result = await start([...shell, install(print(answer)), "run"]);
        assert.equal([result.code, result.stdout], [125, stdout]);
        const why = "it has been removed meanwhile, or cannot be executed";
        assert.is(result.stderr, `sbx: start the compiled program ${path}: ${why}\n`);
      }
    }
  });

  test.needs(needs, `${name}: a program that was removed meanwhile is compiled anew`, async () => {
    const first = join(root, `first ${name}`);
    const sbx = install(`const { existsSync, writeFileSync } = require("node:fs");
      const isFirst = !existsSync(${JSON.stringify(first)});
      writeFileSync(${JSON.stringify(first)}, "");
      if (isFirst) { ${print("exec 2 /nowhere")} } else { ${busybox(2)} }`);
    const { stdout, stderr } = await start([...shell, sbx, "run", "x", "echo", " a  b"]);
    assert.equal([stdout, stderr], [" a  b\n", ""]);
  });

  test.needs(needs, `${name}: Ctrl-C while it compiles ends it by the signal`, async () => {
    const sbx = install(`console.error("ready"); setTimeout(() => {}, 20_000);`);
    const child = spawn(shell[0], [...shell.slice(1), sbx, "run"], {
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
    });
    await new Promise((ready) => child.stderr.once("data", ready));
    process.kill(-(child.pid ?? 0), "SIGINT");
    const signal = await new Promise((done) => child.on("exit", (_code, by) => done(by)));
    assert.is(signal, "SIGINT");
  });

  test.needs(needs, `${name}: a compiler that is interrupted ends it without a word`, async () => {
    const sbx = install(`process.kill(process.pid, "SIGINT"); setTimeout(() => {}, 9_000);`);
    const result = await start([...shell, sbx, "run"]);
    assert.equal([result.signal, result.stderr], ["SIGINT", ""]);
    // As a script's background jobs have it, which Node resets, and a shell cannot.
    const ignoring = await start(["env", "--ignore-signal=INT", ...shell, sbx, "run"]);
    assert.equal([ignoring.code, ignoring.stderr], [130, ""]);
  });

  // bash tries for 15 seconds.
  const forks = [...needs, "unprivileged"] as const;
  if (shell[0] !== "bash") {
    test.needs(forks, `${name}: no process for the compiler`, async () => {
      const sbx = install(busybox());
      const line = ["prlimit", "--nproc=1", ...shell, sbx, "run"];
      const without = await start(line);
      fs.writeFileSync(join(sbx, "../../dist/run.blob"), "");
      for (const { code, stderr } of [without, await start(line)]) {
        assert.is(code, 125);
        assert.match(stderr, /sbx: start node: no process can be made\. .*\n$/);
      }
    });
  }

  test.needs(needs, `${name}: a compiler that was killed`, async () => {
    const sbx = install(`process.kill(process.pid, "SIGKILL"); setTimeout(() => {}, 9_000);`);
    const result = await start([...shell, sbx, "run"]);
    assert.is(result.code, 125);
    assert.match(result.stderr, "sbx: compile the sandbox: node was killed by signal 9");
  });

  test.needs(
    needs,
    `${name}: the finder is found without a process, and never beside a link`,
    async () => {
      const sbx = install(print("compiled"));
      const bin = fs.mkdtempSync(join(root, "b in-"));
      fs.symlinkSync(sbx, join(bin, "sbx"));
      const plant = (place: string, says: string) => {
        for (const machine of ["x86_64", "aarch64"]) {
          const script = `#!/bin/sh\nprintf '${says} '; printf '%s|' "$@"\n`;
          fs.writeFileSync(join(place, `sbx-find-${machine}`), script, { mode: 0o755 });
        }
      };
      plant(join(sbx, "../../dist"), "ours");
      plant(bin, "another's");
      // No readlink is in PATH.
      const shell0 = findInPath(shell[0]) ?? "";
      const env = { PATH: bin };
      const found = await start([shell0, ...shell.slice(1), sbx, "run", "a b"], { env });
      assert.is(found.stdout, "ours run|a b|");
      const through = await start([...shell, join(bin, "sbx"), "run", "a b"]);
      assert.is(through.stdout, "ours run|a b|");
      const cold = await start([...shell, join(bin, "sbx"), "--cold", "run"]);
      assert.is(cold.stdout, "compiled\n");
    },
  );

  test.needs(needs, `${name}: found through links, started from anywhere`, async () => {
    const sbx = install(print("here"));
    const bin = fs.mkdtempSync(join(root, "bin-"));
    fs.symlinkSync(sbx, join(bin, "absolute"));
    fs.symlinkSync("absolute", join(bin, "relative"));
    fs.symlinkSync(`../${bin.split("/").pop()}/relative`, join(bin, "-f"));
    for (const path of [join(bin, "relative"), "./-f", "absolute"]) {
      const result = await start([...shell, path, "run"], {
        cwd: bin,
      });
      assert.is(result.stdout, "here\n", path + result.stderr);
    }
  });
}

test("a caller's Node settings reach the program, and not the compiler", async () => {
  const seen = `console.error(Object.keys(process.env).filter((k) => /^NODE_/.test(k)).join());`;
  const sbx = install(`${seen}${print("exec 3 /usr/bin/env")}`);
  const env = { NODE_OPTIONS: "--require /nowhere", NODE_EXTRA_CA_CERTS: "/nowhere" };
  const result = await start([sbx, "run", "a", "b"], { env });
  assert.is(result.stderr, "\n");
  assert.match(result.stdout, "NODE_OPTIONS=--require /nowhere\n");
  assert.match(result.stdout, "NODE_EXTRA_CA_CERTS=/nowhere\n");
});

test("the compiler has no input, and the caller's fds", async () => {
  const look = `
    const { readFileSync, readSync } = require("node:fs");
    const left = readFileSync(0).length;
    const buffer = Buffer.alloc(9);
    const count = readSync(5, buffer);
    console.error(left, buffer.toString("utf8", 0, count), process.argv.slice(2).join());`;
  const sbx = install(`${look}${print("exec 2 /bin/cat")}`);
  const result = await start(["sh", "-c", `exec "$0" run x 5</proc/sys/kernel/ostype`, sbx], {
    input: "for the program",
  });
  assert.is(result.stderr, "0 Linux\n run,x\n");
  assert.is(result.stdout, "for the program");
});

/** The launcher's own. */
const snapshotFlags = ["--no-opt", "--no-maglev", "--single-threaded-gc", "--no-rehash-snapshot"];

/** An installation with a snapshot whose main function is the given JavaScript; its compiler becomes `echo anew`. */
function installSnapshot(main: string, flags = snapshotFlags): string {
  const sbx = install(print("exec 2 /bin/echo"));
  const blob = join(sbx, "../../dist/run.blob");
  const script = join(root, "snapshot.cjs");
  const set = `require("node:v8").startupSnapshot.setDeserializeMainFunction`;
  fs.writeFileSync(script, `${set}(() => { ${main} });`);
  const words = [...flags, "--snapshot-blob", blob, "--build-snapshot", script];
  assert.is(spawnSync(process.execPath, words).status, 0);
  return sbx;
}

test("a snapshot answers in its last line", async () => {
  const warn = `process.stderr.write("exec 9 /no where\\n");`;
  const sbx = installSnapshot(`${warn}${print("exec 3 /bin/echo")}`);
  const result = await start([sbx, "run", "--x", "/", "here"]);
  assert.equal([result.stdout, result.stderr, result.code], ["here\n", "exec 9 /no where\n", 0]);
});

test("a snapshot that does anything else is as good as none", async () => {
  // Which V8 refuses as it does that of another version.
  const foreign = await start([installSnapshot(print("exec 2 /x"), []), "run", "/", "anew"]);
  assert.equal([foreign.stdout, foreign.stderr, foreign.code], ["anew\n", "", 0]);
  for (const main of [
    "process.exit(75)",
    `throw new Error("wrong")`,
    `${print("exec 3 /bin/echo")} process.exit(125)`,
    print("memfd 2"),
  ]) {
    const result = await start([installSnapshot(main), "run", "/", "anew"]);
    assert.equal([result.stdout, result.stderr, result.code], ["anew\n", "", 0], main);
  }
  for (const content of ["", "no snapshot"]) {
    const sbx = install(print("exec 2 /bin/echo"));
    fs.writeFileSync(join(sbx, "../../dist/run.blob"), content);
    const damaged = await start([sbx, "run", "/", "anew"]);
    assert.equal([damaged.stdout, damaged.stderr, damaged.code], ["anew\n", "", 0], content);
  }
  const interrupted = `process.kill(process.pid, "SIGINT"); setTimeout(() => {}, 9_000)`;
  const result = await start([installSnapshot(interrupted), "run", "/", "anew"]);
  assert.equal([result.signal, result.stdout, result.stderr], ["SIGINT", "", ""]);
});

test("what is no hand-over is printed, with the compiler's exit status", async () => {
  for (const [text, code] of [
    ["usage:\n  sbx run", 0],
    ["", 125],
    ["exec 1 /bin/true", 3],
  ] as const) {
    const exits = `${text === "" ? "" : print(text)}process.exitCode = ${code};`;
    const result = await start([install(exits), "run", "--help"]);
    assert.is(result.stdout, text === "" ? "" : `${text}\n`);
    assert.is(result.code, code);
    assert.is(result.stderr, "");
  }
});

test("options before the command are part of the protocol; other commands have the terminal", async () => {
  const echo = `process.stdin.pipe(process.stdout); process.stdin.on("end", () => { process.exitCode = 7; });`;
  const check = await start([install(echo), "check", "x"], {
    input: "in",
    env: { NODE_OPTIONS: "--require /nowhere" },
  });
  assert.equal([check.stdout, check.code], ["in", 7]);
  const option = await start([install(print("exec 3 /bin/echo")), "-x", "run", "y", "z"]);
  assert.is(option.stdout, "z\n");
});

test("says what is missing", async () => {
  const unbuilt = await start([install(null), "run"]);
  assert.is(unbuilt.code, 125);
  assert.match(unbuilt.stderr, /^sbx: .*dist\/sbx\.cjs: No such file\. Run `npm ci`.*\n$/);
  const empty = fs.mkdtempSync(join(root, "path-"));
  const nodeless = await start(["/bin/sh", install(print("")), "run"], { env: { PATH: empty } });
  assert.is(nodeless.code, 125);
  assert.match(nodeless.stderr, /^sbx: start: node: not found in PATH\. .*\n$/);
});

test.needs("shellcheck", "passes shellcheck", () => {
  const { stdout, status } = spawnSync("shellcheck", ["-s", "sh", command], { encoding: "utf8" });
  assert.is(stdout, "");
  assert.is(status, 0);
});

test.run();

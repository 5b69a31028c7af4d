import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { commands, completionScript, shells } from "../../cmd/completion.js";
import { runOptions } from "../../cmd/options/run.js";
import { suite } from "../support/suite.js";

const test = suite("cmd/completion");

let directory = "";
const script = (shell: string) => join(directory, `sbx.${shell}`);

test.before(() => {
  directory = mkdtempSync(join(tmpdir(), "sbx-completion-"));
  for (const shell of shells) writeFileSync(script(shell), completionScript(shell));
  mkdirSync(join(directory, "rootfs dir"));
  writeFileSync(join(directory, "root.env"), "");
});

test.after(() => rmSync(directory, { recursive: true }));

function output(command: string, args: string[]): string[] {
  const text = execFileSync(command, args, {
    cwd: directory,
    encoding: "utf8",
    env: { PATH: process.env.PATH, HOME: directory, SBX_TEST_MARK: "1" },
  });
  return text.split("\n").filter((line) => line !== "");
}

for (const shell of shells) {
  test.needs(shell, `${shell} finds no fault with its script`, () => {
    assert.equal(output(shell, ["-n", script(shell)]), []);
  });

  test(`${shell} knows every option and command`, () => {
    const text = completionScript(shell);
    for (const name of [...Object.keys(runOptions), ...Object.keys(commands)]) {
      assert.match(text, name);
    }
    assert.not.match(text, "no-rootless");
    assert.not.match(text, "undefined");
  });
}

/** What bash offers for a line, split at = and : as its COMP_WORDBREAKS has it. */
function bash(line: string): string[] {
  const code = `
    source "$1"; compopt() { :; }
    COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
    COMP_LINE=$2 COMP_POINT=\${#2}; shift 2
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _sbx && printf '%s\\n' "\${COMPREPLY[@]}"; :`;
  const words = line.split(/([=:])|\s+/).filter((word) => word !== undefined && word !== "");
  if (/\s$/.test(line)) words.push("");
  return output("bash", ["-c", code, "bash", script("bash"), line, ...words]);
}

/** What fish offers for a line, without descriptions. */
function fish(line: string): string[] {
  const code = 'source $argv[1]; complete -C "$argv[2]"';
  const lines = output("fish", ["--no-config", "-c", code, script("fish"), line]);
  return lines.map((each) => each.split("\t")[0] ?? "");
}

test.needs("bash", "bash completes commands and options", () => {
  assert.equal(bash("sbx ex"), ["explain", "export", "exec"]);
  assert.equal(bash("sbx run --user"), ["--userns", "--user"]);
  assert.equal(bash("sbx run --no-in"), ["--no-in-place", "--no-init"]);
  assert.equal(bash("sbx explain run --dom"), ["--domainname"]);
  assert.equal(bash("sbx compile --arch aa"), ["aarch64"]);
  assert.equal(bash("sbx compile --ou"), ["--output"]);
  assert.equal(bash("sbx compile -o job roo"), ["rootfs dir"]);
  assert.equal(bash("sbx explain run --sta"), ["--stage", "--status-fd"]);
  assert.equal(bash("sbx run --sta"), ["--status-fd"]);
  assert.equal(bash("sbx create --re"), ["--read-only", "--restart"]);
  assert.equal(bash("sbx create --det"), []);
  assert.equal(bash("sbx completion f"), ["fish"]);
});

test.needs("bash", "bash completes what update takes", () => {
  assert.equal(bash("sbx update --memory-r"), ["--memory-reservation"]);
  assert.equal(bash("sbx update --shm"), []);
  assert.equal(bash("sbx update a --cgroup-conf memory.o"), ["memory.oom.group=1"]);
});

test("networks are completed by the files of the store", () => {
  const store = join(directory, ".local/share/sbx/networks");
  mkdirSync(store, { recursive: true });
  for (const name of ["lab", "lake"]) writeFileSync(join(store, `${name}.json`), "");
  assert.equal(bash("sbx run --network=la"), ["lab", "lake"]);
  assert.equal(bash("sbx run --network p"), ["private", "pasta"]);
  assert.equal(bash("sbx network r"), ["rm"]);
  assert.equal(bash("sbx network rm "), ["lab", "lake"]);
  assert.equal(bash("sbx network create --int"), ["--internal"]);
  assert.equal(fish("sbx run --network=lak"), ["--network=lake"]);
  assert.equal(fish("sbx network inspect lab la"), ["lab", "lake"]);
  rmSync(join(directory, ".local"), { recursive: true });
  assert.equal(bash("sbx network rm "), []);
});

test("sandboxes are completed by their names, kept or running", () => {
  const data = join(directory, ".local/share/sbx/names");
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  const run = join(directory, `.local/state/sbx/run-${boot}/sandboxes`);
  for (const each of [data, run]) mkdirSync(each, { recursive: true });
  for (const name of ["web", "wear", "db"]) writeFileSync(join(data, name), "");
  for (const name of ["web", "wet"]) writeFileSync(join(run, name), "");
  for (const command of [
    "stop",
    "kill",
    "wait",
    "restart",
    "logs",
    "attach",
    "update",
    "rm",
    "diff",
  ]) {
    assert.equal(bash(`sbx ${command} we`), ["wear", "web", "wet"], command);
    assert.equal(fish(`sbx ${command} we`), ["wear", "web", "wet"], command);
  }
  const names = ["container:db", "container:wear", "container:web", "container:wet"];
  assert.equal(bash("sbx run --pid con"), names);
  assert.equal(fish("sbx run --pid con"), names);
  rmSync(join(directory, ".local"), { recursive: true });
  assert.equal(bash("sbx stop "), []);
  assert.equal(fish("sbx stop "), []);
});

test("options of commands for sandboxes are completed, and their values", () => {
  assert.equal(bash("sbx stop --ti"), ["--time", "--timeout"]);
  assert.equal(bash("sbx wait --condition r"), ["running", "restarting", "removed"]);
  assert.equal(bash("sbx wait a --condition=ex"), ["exited"]);
  assert.equal(bash("sbx ps --filter sta"), ["status="]);
  assert.equal(fish("sbx wait --condition r"), ["removed", "restarting", "running"]);
  assert.equal(fish("sbx events --no"), ["--no-stream"]);
  assert.equal(bash("sbx rm ./roo"), ["./rootfs dir"]);
});

test.needs("bash", "bash completes values, attached or not", () => {
  assert.equal(bash("sbx run --pid "), ["private", "host"]);
  assert.equal(bash("sbx run --pid=h"), ["host"]);
  assert.equal(bash("sbx run --pid="), ["private", "host"]);
  assert.equal(bash("sbx run --cap-add NET_A"), ["NET_ADMIN"]);
  assert.equal(bash("sbx run --cap-add net_a"), ["NET_ADMIN"]);
  assert.equal(bash("sbx explain run --stage p"), ["plan", "program"]);
  assert.equal(bash("sbx explain run --stage=sp"), ["spec"]);
  assert.equal(bash("sbx explain run --stage plan roo"), ["rootfs dir"]);
  assert.equal(bash("sbx run --ulimit no"), ["nofile="]);
  assert.equal(bash("sbx run --ulimit=no"), ["nofile="]);
  assert.equal(bash("sbx run --ulimit nofile="), []);
  assert.equal(bash("sbx run --security-opt unmask=A"), ["ALL"]);
  assert.equal(bash("sbx run -e SBX_TEST"), ["SBX_TEST_MARK"]);
  assert.equal(bash("sbx run --env-file r"), ["rootfs dir", "root.env"].sort().reverse());
});

test.needs(
  "bash",
  "bash completes directories for ROOTFS and leaves options behind it to the command",
  () => {
    assert.equal(bash("sbx run -t --user x -e A=b roo"), ["rootfs dir"]);
    assert.equal(bash("sbx run -- roo"), ["rootfs dir"]);
    assert.equal(bash("sbx run / --pi"), []);
    assert.equal(bash("sbx run / root."), ["root.env"]);
  },
);

test.needs("bash", "bash completes the commands of seccomp", () => {
  assert.equal(bash("sbx sec"), ["seccomp"]);
  assert.equal(bash("sbx seccomp "), ["check", "compile", "explain", "diff"]);
  assert.equal(bash("sbx seccomp compile --for"), ["--format"]);
  assert.equal(bash("sbx seccomp check --for"), []);
  assert.equal(bash("sbx seccomp check --"), [
    ...["--arch", "--caps", "--kernel", "--exact", "--no-exact", "--strict", "--no-strict"],
    "--help",
  ]);
  assert.equal(bash("sbx seccomp compile --format "), ["bpf", "json", "asm"]);
  assert.equal(bash("sbx seccomp compile x --format=a"), ["asm"]);
  assert.equal(bash("sbx seccomp compile -o root"), ["rootfs dir", "root.env"].sort().reverse());
  assert.equal(bash("sbx seccomp explain --arch arm"), ["arm64", "arm"]);
  assert.equal(bash("sbx seccomp diff --arch arm"), ["arm64"]);
  assert.equal(bash("sbx seccomp diff default root."), ["root.env"]);
  assert.equal(bash("sbx seccomp check def"), ["default"]);
  assert.equal(bash("sbx seccomp explain root"), []);
});

test.needs("fish", "fish completes the same", () => {
  assert.equal(fish("sbx ex"), ["exec", "explain", "export"]);
  assert.equal(fish("sbx run --pid "), ["host", "private"]);
  assert.equal(fish("sbx run --cap-add=NET_A"), ["--cap-add=NET_ADMIN"]);
  assert.equal(fish("sbx run -t -e A=b --user x roo"), ["rootfs dir/"]);
  assert.equal(fish("sbx run / --pi"), []);
  assert.equal(fish("sbx explain run --dom"), ["--domainname"]);
  assert.equal(fish("sbx compile --arch aa"), ["aarch64"]);
  assert.equal(fish("sbx compile -o job roo"), ["rootfs dir/"]);
  assert.equal(fish("sbx run --ou"), []);
  assert.equal(fish("sbx explain run --sta"), ["--stage", "--status-fd"]);
  assert.equal(fish("sbx run --sta"), ["--status-fd"]);
  assert.equal(fish("sbx explain run --stage plan roo"), ["rootfs dir/"]);
  assert.equal(fish("sbx run --cap-add net_a"), ["NET_ADMIN"]);
  assert.equal(fish("sbx run --ulimit nof"), ["nofile="]);
  assert.equal(fish("sbx seccomp "), ["check", "compile", "diff", "explain"]);
  assert.equal(fish("sbx seccomp explain "), []);
  assert.equal(fish("sbx seccomp compile --for"), ["--format"]);
  assert.equal(fish("sbx seccomp check --js"), []);
  assert.equal(fish("sbx check --js"), ["--json"]);
  assert.equal(fish("sbx seccomp explain --arch arm"), ["arm", "arm64"]);
  assert.equal(fish("sbx seccomp diff default def"), ["default"]);
  assert.equal(fish("sbx seccomp check root.e"), ["root.env"]);
});

test.run();

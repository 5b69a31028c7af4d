/**
 * Runs test files in the machines of test/guest/machine.ts, or a command.
 *
 *     npm run test:guest [PART-OF-A-PATH]
 *     npm run test:guest -- --shell [--old] [--as USER] [COMMAND]
 *
 * The project is taken along as it is now. The last line sums the machines up, as `test/support/run.ts`
 * does for one. Where no machine can be had, the tests that need one are skipped by name.
 */
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { exit, run } from "../support/once.js";
import { missing } from "../support/skip.js";
import { type Machine, machines, parcelBytes, resume } from "./machine.js";

const root = resolve(import.meta.dirname, "../..");

/** What runs where, as parts of paths, besides the machine's own files. */
const chosen = ["kernel/identity", "kernel/isolation", "kernel/mounts"];

/** Large, and no test that runs there needs them. */
const left = ["@biomejs", "typescript", "@typescript"].map(
  (name) => `--exclude=node_modules/${name}`,
);

interface Work {
  readonly machine: Machine;
  readonly user: string;
  /** For bash(1), in the project's directory. */
  readonly command: string;
  /** Is the caller's terminal to be the command's? Its output is given otherwise. */
  readonly terminal: boolean;
}

/** Makes a tar of the project with the command. */
async function pack({ user, command, terminal }: Work, parcel: string): Promise<void> {
  const directory = dirname(parcel);
  const bring = join(directory, ".guest");
  fs.mkdirSync(bring);
  fs.writeFileSync(join(bring, "time"), `${Math.floor(Date.now() / 1000)}`);
  fs.writeFileSync(join(bring, "user"), user);
  fs.writeFileSync(join(bring, "run"), command);
  if (terminal) fs.writeFileSync(join(bring, "terminal"), "");
  const list = "git ls-files -z --cached --others --exclude-standard";
  // The time must come first: the clock is set before anything is unpacked.
  await run("tar", ["-C", directory, "-cf", parcel, ".guest/time", ".guest"]);
  // What is removed and not yet committed is listed too.
  const add = `${list} | tar --ignore-failed-read --null -rf "$0" -T -`;
  await run("sh", ["-ec", add, parcel], { cwd: root });
  await run("tar", ["-C", root, "-rf", parcel, ...left, "dist", "node_modules"]);
  fs.truncateSync(parcel, parcelBytes);
}

/** Works in a machine, and gives the status and the output. */
async function inGuest(work: Work): Promise<{ status: number; output: string }> {
  const directory = fs.mkdtempSync(join(tmpdir(), "sbx-guest-"));
  try {
    const [parcel, statusFile] = [join(directory, "parcel"), join(directory, "status")];
    const [file = "", ...args] = await resume(work.machine, parcel, statusFile);
    await pack(work, parcel);
    const child = spawn(file, args, {
      stdio: work.terminal ? "inherit" : ["ignore", "pipe", "inherit"],
    });
    process.once("exit", () => child.kill());
    let output = "";
    child.stdout?.on("data", (chunk) => {
      output += chunk;
      process.stdout.write(chunk);
    });
    await exit(child, file);
    const status = fs.readFileSync(statusFile, "utf8").trim();
    if (status === "") throw new Error(`the machine ${work.machine} ended before its work did`);
    return { status: Number(status), output };
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

/** What a login by pam_systemd(8) would set, where the user has a manager. */
const session = `if [ -d "/run/user/$(id -u)" ]; then
  export XDG_RUNTIME_DIR="/run/user/$(id -u)"
  export DBUS_SESSION_BUS_ADDRESS="unix:path=$XDG_RUNTIME_DIR/bus"
fi
`;

/** The files whose path has one of the parts, for the machine that each is meant for. */
function testFiles(machine: Machine, parts: readonly string[]): string[] {
  const machineOf = (path: string) => /^test\/guest\/(\w+)\//.exec(path)?.[1] ?? "laptop";
  return fs
    .readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .map((path) => join("test", path))
    .filter((path) => path.endsWith(".test.ts") && parts.some((part) => path.includes(part)))
    .filter((path) => machineOf(path) === machine)
    .sort();
}

async function runTests(parts: readonly string[]): Promise<number> {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const machine of Object.keys(machines) as Machine[]) {
    const files = testFiles(machine, parts);
    if (files.length === 0) continue;
    console.log(`on the machine ${machine}:`);
    const mustWork = process.env.SBX_MUST_WORK === "1" ? "SBX_MUST_WORK=1 " : "";
    const command = `${session}${mustWork}node --import tsx test/support/run.ts ${files.join(" ")}`;
    const { user } = machines[machine];
    const { output } = await inGuest({ machine, user, command, terminal: false });
    const last = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/m.exec(
      output.trimEnd().split("\n").at(-1) ?? "",
    );
    if (last === null) throw new Error(`the machine ${machine} counted no tests`);
    const [passed = 0, failed = 0, skipped = 0] = last.slice(1).map((word) => Number(word ?? 0));
    sum.passed += passed;
    sum.failed += failed;
    sum.skipped += skipped;
  }
  const skipped = sum.skipped > 0 ? `, ${sum.skipped} skipped` : "";
  if (sum.passed + sum.failed + sum.skipped === 0) {
    throw new Error(`no test file matches ${parts.join(", ")}`);
  }
  console.log(`${sum.passed} passed, ${sum.failed} failed${skipped}`);
  return sum.failed > 0 ? 1 : 0;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { shell: { type: "boolean" }, old: { type: "boolean" }, as: { type: "string" } },
  });
  const parts = positionals.length > 0 ? positionals : ["test/guest/", ...chosen];
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => process.exit(1));
  }
  const reason = missing("machines");
  if (reason !== null && values.shell === true) throw new Error(`no machine can be had: ${reason}`);
  if (reason !== null) {
    const here = ["--import", "tsx", "test/support/run.ts", "test/guest/"];
    return spawnSync(process.execPath, here, { cwd: root, stdio: "inherit" }).status ?? 1;
  }
  await run(process.execPath, ["build.mjs"], { cwd: root });
  if (values.shell !== true) return runTests(parts);
  const machine = values.old === true ? "old" : "laptop";
  const { status } = await inGuest({
    machine,
    user: values.as ?? machines[machine].user,
    command: `${session}${positionals.length > 0 ? positionals.join(" ") : "exec bash"}`,
    terminal: process.stdin.isTTY && process.stdout.isTTY,
  });
  return status;
}

process.exitCode = await main();

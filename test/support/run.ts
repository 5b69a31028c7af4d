/**
 * Runs test files, each in a process of its own, and counts what they report.
 *
 *     node --import tsx test/support/run.ts [PART-OF-A-PATH…]
 *
 * All are meant where none is named, but those of test/guest/, which `npm run test:guest` runs.
 * The last line is `N passed, N failed`, with `, N skipped` where some were. Exits 1 when a test
 * failed, a file crashed or reported nothing, no file matched, or fewer tests passed than are known
 * to exist.
 */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { makeHome } from "./home.js";
import type { ReportLine } from "./suite.js";

/** As many tests as a whole run must pass: raise it with the tests, so that none gets lost. */
const passedFloor = 1900;
/** Nothing can take its place: what it says counts in the tests as well. */
const siteConfig = "/etc/sbx/sbx.ini";
const filesAtATime = 2;
const fileLimitMs = 15 * 60_000;

const root = resolve(import.meta.dirname, "../..");
const patterns = process.argv.slice(2).filter((part) => part !== "");

interface Outcome {
  readonly file: string;
  readonly lines: readonly ReportLine[];
  /** What is wrong with the file as a whole, or null. */
  readonly problem: string | null;
  readonly output: string;
  readonly milliseconds: number;
}

function testFiles(): string[] {
  const isMeant = (path: string) =>
    patterns.length === 0
      ? !path.startsWith("test/guest/")
      : patterns.some((pattern) => path.includes(pattern));
  return fs
    .readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .map((path) => join("test", path))
    .filter((path) => path.endsWith(".test.ts") && isMeant(path))
    .sort();
}

const running = new Set<ChildProcess>();

/** Each file leads a process group, so that what its tests started ends with it. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch (error) {
    // ESRCH: all of them have ended by themselves.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function runFile(file: string, reportFile: string, home: string): Promise<Outcome> {
  const started = performance.now();
  fs.writeFileSync(reportFile, "");
  const child = spawn(process.execPath, ["--import", "tsx", file], {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, SBX_TEST_REPORT: reportFile, SBX_TEST_HOME: home },
  });
  running.add(child);
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk) => chunks.push(chunk));
  child.stderr.on("data", (chunk) => chunks.push(chunk));
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    killGroup(child);
  }, fileLimitMs);
  // A daemon that a test has left behind holds the pipes open: "exit" comes, "close" would not.
  child.on("exit", () => {
    clearTimeout(timer);
    killGroup(child);
  });
  return new Promise((done, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      running.delete(child);
      const lines = fs
        .readFileSync(reportFile, "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as ReportLine);
      const failed = lines.some(({ kind }) => kind === "failed");
      const problem = late
        ? `not done after ${fileLimitMs / 60_000} minutes`
        : signal !== null
          ? `ended by ${signal}`
          : !lines.some(({ kind }) => kind === "finished") && !failed
            ? `no suite finished, exit code ${code}`
            : code !== 0 && !failed
              ? `exit code ${code}`
              : null;
      const output = Buffer.concat(chunks).toString();
      done({ file, lines, problem, output, milliseconds: performance.now() - started });
    });
  });
}

function show({ file, lines, problem, output, milliseconds }: Outcome): void {
  const count = (kind: ReportLine["kind"]) => lines.filter((line) => line.kind === kind).length;
  const bad = problem !== null || count("failed") > 0;
  const skips = count("skipped") > 0 ? `, ${count("skipped")} skipped` : "";
  const failures = bad ? `, ${count("failed") + (problem === null ? 0 : 1)} failed` : "";
  console.log(
    `${bad ? "FAIL" : "ok  "} ${file}: ${count("passed")} passed${failures}${skips} (${Math.round(milliseconds)} ms)`,
  );
  if (bad) console.log(output.replace(/^/gm, "     | "));
  for (const line of lines) {
    if (line.kind === "failed" || line.kind === "skipped") {
      console.log(`     ${line.kind}: ${line.suite}: ${line.test}: ${line.reason.split("\n")[0]}`);
    }
  }
  if (problem !== null) console.log(`     failed: ${file}: ${problem}`);
}

async function main(): Promise<void> {
  const files = testFiles();
  const outcomes: Outcome[] = [];
  const home = makeHome();
  if (fs.existsSync(siteConfig)) console.log(`${siteConfig} changes what is tested`);
  const reports = fs.mkdtempSync(join(tmpdir(), "sbx-test-report-"));
  process.on("exit", () => {
    for (const child of running) killGroup(child);
    fs.rmSync(reports, { recursive: true, force: true });
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => process.exit(1));
  }
  const waiting = files.entries();
  const worker = async () => {
    for (const [index, file] of waiting) {
      const outcome = await runFile(file, join(reports, `${index}`), home);
      outcomes.push(outcome);
      show(outcome);
    }
  };
  await Promise.all(Array.from({ length: filesAtATime }, worker));

  const lines = outcomes.flatMap((outcome) => outcome.lines);
  const count = (kind: ReportLine["kind"]) => lines.filter((line) => line.kind === kind).length;
  const passed = count("passed");
  const skipped = count("skipped");
  let failed = count("failed") + outcomes.filter(({ problem }) => problem !== null).length;
  if (files.length === 0) {
    failed += 1;
    console.log(
      `no test file under ${relative(process.cwd(), root) || "."} matches ${patterns.join(", ")}`,
    );
  } else if (patterns.length === 0 && skipped + failed === 0 && passed < passedFloor) {
    failed += 1;
    console.log(`${passed} tests passed, of ${passedFloor} that are known to exist`);
  }
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  process.exitCode = failed > 0 ? 1 : 0;
}

await main();

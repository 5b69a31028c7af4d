/**
 * uvu, wrapped once. By itself it exits 0 when a `before` hook throws, when `.run()` is forgotten and
 * when a test never ends; here each of these is a failure. A test says what it needs of the
 * machine, and is skipped with a reason where that is missing; SBX_MUST_WORK=1 makes it fail.
 */
import { appendFileSync } from "node:fs";
import { suite as uvuSuite } from "uvu";
import { useHome } from "./home.js";
import { guestName, missing, type Requirement } from "./skip.js";

/** What a test file tells `run.ts`, a JSON line each, in the file that SBX_TEST_REPORT names. */
export type ReportLine =
  | { readonly kind: "passed"; readonly suite: string; readonly test: string }
  | {
      readonly kind: "failed" | "skipped";
      readonly suite: string;
      readonly test: string;
      readonly reason: string;
    }
  | { readonly kind: "finished"; readonly suite: string };

type Body = () => void | Promise<void>;

export interface Hook {
  (body: Body): void;
  each(body: Body): void;
}

export interface Suite {
  (name: string, body: Body): void;
  /** A test that can only run where all requirements are met. */
  needs(requirements: Requirement | readonly Requirement[], name: string, body: Body): void;
  /** Leaves the test out for the reason, in words. */
  skip(name: string, reason: string): void;
  readonly before: Hook;
  readonly after: Hook;
  /** Must be the last call on every suite. */
  run(): void;
}

useHome();
const report = process.env.SBX_TEST_REPORT;
// A test may start `run.ts` or a test file of its own.
delete process.env.SBX_TEST_REPORT;
const mustWork = process.env.SBX_MUST_WORK === "1";
/** No packages can be had in an emulated machine; the same tests run on its host. */
const mayLack: readonly Requirement[] = guestName === "" ? [] : ["debian"];
const unfinished = new Set<string>();

function tell(line: ReportLine): void {
  if (report !== undefined) appendFileSync(report, `${JSON.stringify(line)}\n`);
}

process.on("exit", () => {
  for (const name of unfinished) {
    const reason = "did not finish: a hook threw, run() is missing, or a test never ended";
    tell({ kind: "failed", suite: name, test: "(the suite)", reason });
    process.stderr.write(`${name}: ${reason}\n`);
    process.exitCode = 1;
  }
});

/** A suite of tests that run one after the other. */
export function suite(name: string): Suite {
  const inner = uvuSuite(name);
  unfinished.add(name);
  let expected = 0;
  let begun = 0;
  let skipped = 0;
  let hookFailed = false;

  const add = (test: string, body: Body) => {
    expected += 1;
    inner(test, async () => {
      begun += 1;
      try {
        await body();
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        tell({ kind: "failed", suite: name, test, reason });
        // uvu reads `stack` and `name`, and dies of a thrown value that has none.
        throw error instanceof Error ? error : new Error(reason);
      }
      tell({ kind: "passed", suite: name, test });
    });
  };
  const skip = (test: string, reason: string, isExpected = false) => {
    if (mustWork && !isExpected) {
      add(test, () => {
        throw new Error(`skipped although SBX_MUST_WORK is set: ${reason}`);
      });
      return;
    }
    skipped += 1;
    inner.skip(test);
    tell({ kind: "skipped", suite: name, test, reason });
    process.stderr.write(`skipped: ${name}: ${test}: ${reason}\n`);
  };
  const needs: Suite["needs"] = (requirements, test, body) => {
    for (const requirement of typeof requirements === "string" ? [requirements] : requirements) {
      const reason = missing(requirement);
      if (reason !== null) {
        skip(test, `needs ${requirement}: ${reason}`, mayLack.includes(requirement));
        return;
      }
    }
    add(test, body);
  };
  const hook = (register: (body: Body) => void, kind: string): ((body: Body) => void) => {
    return (body) =>
      register(async () => {
        try {
          await body();
        } catch (error) {
          // uvu returns from a `finally`, which swallows what a hook throws.
          hookFailed = true;
          const text = error instanceof Error ? error.stack : String(error);
          process.stderr.write(`${name}: the ${kind} hook failed: ${text}\n`);
          throw error;
        }
      });
  };
  const run = () => {
    if (expected + skipped === 0) throw new Error(`the suite ${name} has no tests`);
    // Registered last, so that it runs only where no other hook has thrown.
    inner.after(() => {
      if (begun !== expected || hookFailed) return;
      unfinished.delete(name);
      tell({ kind: "finished", suite: name });
    });
    inner.run();
  };
  return Object.assign(add, {
    needs,
    skip,
    before: Object.assign(hook(inner.before, "before"), {
      each: hook(inner.before.each, "before.each"),
    }),
    after: Object.assign(hook(inner.after, "after"), {
      each: hook(inner.after.each, "after.each"),
    }),
    run,
  });
}

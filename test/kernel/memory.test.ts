/** What stays resident of a sandbox that does nothing but run. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { patienceMs } from "../support/sandbox.js";
import { started } from "../support/started.js";
import { suite } from "../support/suite.js";

const test = suite("memory");
const needs = ["unprivileged", "user namespaces", "busybox"] as const;

/** Of some 38 before; arguments that lie across two pages of the stack, by chance, take one more. */
const enough = 24;

/** `Pss` of /proc/PID/smaps_rollup, in KB. */
const pssKilobytes = (pid: number): number =>
  Number(/^Pss: +(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1]);

test.needs(needs, "a monitor that only waits gives back what it no longer needs", async () => {
  const seen: number[] = [];
  const script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done";
  const end = await started([], script, async (pid) => {
    // Who runs for less than 100 ms does not pay for it.
    const deadline = performance.now() + patienceMs;
    while ((seen.at(-1) ?? 99) > enough && performance.now() < deadline) {
      seen.push(pssKilobytes(pid));
      await sleep(50);
    }
    process.kill(pid, "SIGTERM");
  });
  assert.ok((seen.at(-1) ?? 99) <= enough, `${seen.join(", ")} KB`);
  // The code that ends it was given back as well.
  assert.is(end.code, 7);
});

test.run();

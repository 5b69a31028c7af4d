/** What `sbx ps` takes with many sandboxes, half of which run. */
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKept } from "../launch/life/kept-create.js";
import { writeState } from "../launch/life/kept-state.js";
import { tryLock } from "../launch/native/file-calls.js";
import { defaultSpec } from "../spec/default.js";
import type { Host } from "../spec/host.js";
import { quantile, time } from "./measure.js";

const count = 500;
const rounds = 20;

/** A row for each command: its name, and the median and lowest tenth in milliseconds. */
export async function timePs(host: Host): Promise<string[][]> {
  const place = fs.mkdtempSync(join(tmpdir(), "sbx-bench-"));
  try {
    const [data, run] = [join(place, "sbx"), join(place, "run/sbx/sandboxes")];
    fs.mkdirSync(run, { recursive: true, mode: 0o700 });
    for (let index = 0; index < count; index++) await make(data, index % 2 === 0 ? run : null);
    const settings = [`XDG_DATA_HOME=${place}`, `XDG_RUNTIME_DIR=${place}/run`];
    const sbx = join(import.meta.dirname, "../cmd/sbx");
    const commands = [
      ["/usr/bin/env", "node", "-e", "0"],
      ["/usr/bin/env", ...settings, sbx, "ps"],
      ["/usr/bin/env", ...settings, sbx, "ps", "--all"],
    ] as const;
    const schedule = Array.from({ length: rounds }, () => [...commands.keys()]).flat();
    const samples = time(commands, schedule, host);
    const names = ["node -e 0", `ps, ${count} sandboxes`, `ps --all, ${count} sandboxes`];
    return names.map((name, index) => [
      name,
      ...[0.5, 0.1].map((part) => (quantile(samples[index] ?? [], part) / 1e6).toFixed(1)),
    ]);
  } finally {
    fs.rmSync(place, { recursive: true });
  }
}

/** One whose record, if it has any, this process has locked as a monitor does. */
async function make(data: string, run: string | null): Promise<void> {
  const spec = defaultSpec("/");
  const { id, name, directory } = await createKept(
    data,
    undefined,
    () => false,
    (each, life) => ({
      ...spec,
      sbx: {
        ...spec.sbx,
        name: each,
        life: { ...life, stdin: false, restart: { name: "no" }, log: null, removeAtEnd: false },
      },
    }),
  );
  writeState(directory, {
    status: run === null ? "exited" : "running",
    startedMs: Date.now(),
    finishedMs: run === null ? Date.now() : null,
    exitCode: run === null ? 0 : null,
    signal: null,
    oom: false,
    error: null,
    restarts: 0,
  });
  if (run === null) return;
  const started = Math.floor(Date.now() / 1000);
  const record = { version: 1, name, id, monitor: process.pid, namespaces: {}, init: 1, started };
  const path = join(run, name);
  fs.writeFileSync(path, JSON.stringify({ ...record, uidMappings: [], gidMappings: [], spec }));
  // Held until the end of the process.
  tryLock(fs.openSync(path, "r"));
}

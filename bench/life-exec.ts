/** What one more command in a running sandbox takes: `sbx exec`, and nsenter(1) by hand. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileEntrance } from "../cmd/exec.js";
import type { Host } from "../spec/host.js";
import { busyboxRootfs } from "../test/support/rootfs.js";
import { childrenOf } from "../test/support/started.js";
import { quantile, time } from "./measure.js";

const rounds = 50;
const sbx = join(import.meta.dirname, "../cmd/sbx");

/** A row for each command: its name, and the median and lowest tenth in milliseconds. */
export async function timeExec(host: Host): Promise<string[][]> {
  const place = fs.mkdtempSync(join(tmpdir(), "sbx-bench-"));
  process.env.XDG_RUNTIME_DIR = place;
  const words = ["run", "--name=bench", busyboxRootfs(), "sh", "-c", "echo up; exec sleep 600"];
  const sandbox = spawn(sbx, words, { stdio: ["ignore", "pipe", "inherit"] });
  try {
    await once(sandbox.stdout, "data");
    const [init = 0] = childrenOf(sandbox.pid ?? 0);
    const [payload = 0] = childrenOf(init);
    const program = join(place, "program");
    const { bytes } = await compileEntrance(["bench", "true"], { pipes: false });
    fs.writeFileSync(program, bytes, { mode: 0o700 });
    const namespaces = ["--user", "--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup"];
    const commands = {
      exec: ["/usr/bin/env", `XDG_RUNTIME_DIR=${place}`, sbx, "exec", "bench", "true"],
      "exec, its program alone": [program, "true"],
      nsenter: [
        "/usr/bin/nsenter",
        ...namespaces,
        "--preserve-credentials",
        `--target=${payload}`,
        "/bin/true",
      ],
    } as const;
    const all = Object.values(commands);
    const schedule = Array.from({ length: rounds }, () => [...all.keys()]).flat();
    const samples = time(all, schedule, host);
    return Object.keys(commands).map((name, index) => [
      name,
      ...[0.5, 0.1].map((part) => (quantile(samples[index] ?? [], part) / 1e6).toFixed(1)),
    ]);
  } finally {
    sandbox.kill("SIGKILL");
    fs.rmSync(place, { recursive: true });
  }
}

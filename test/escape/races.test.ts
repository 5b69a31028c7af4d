/**
 * A process outside that exchanges directories and files of a rootfs with links that lead out of it,
 * as fast as it can, while sandboxes start from that rootfs.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { workOf } from "../../launch/store/kept-upper.js";
import { hostileRootfs, makeCanary, survives } from "../support/canary.js";
import { temporaryDirectory } from "../support/inside.js";
import { suite } from "../support/suite.js";

const test = suite("escape by races");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay", "python3"] as const;
const canary = makeCanary();
/** So long, and on a busy machine until so many have run. */
const raceMs = 4000;
const fewestRuns = 2;

/** Exchanges `PATH` and `PATH.other` of each argument until it is killed: renameat2(2), RENAME_EXCHANGE. */
const exchange = `
import ctypes, sys
rename = ctypes.CDLL(None, use_errno=True).renameat2
pairs = [(path.encode(), path.encode() + b'.other') for path in sys.argv[1:]]
count = 0
while True:
    for one, other in pairs:
        if rename(-100, one, -100, other, 2) != 0:
            raise OSError(ctypes.get_errno(), one)
    count += 1
    if count == 1000:
        print('on', flush=True)
`;

/** Runs sandboxes while the paths of the rootfs change places with links to `outside`. */
async function race(
  paths: Readonly<Record<string, string>>,
  options: readonly string[],
): Promise<void> {
  const rootfs = hostileRootfs((root) => {
    for (const [path, outside] of Object.entries(paths)) {
      const full = join(root, path);
      if (!fs.existsSync(full)) fs.mkdirSync(full, { recursive: true });
      fs.symlinkSync(join(canary.path, outside), `${full}.other`);
    }
  });
  const places = Object.keys(paths).flatMap((path) => [`/${path}`, `/${path}.other`]);
  const script = places.map((p) => `cat ${p} ${p}/file; echo x >${p}; echo x >${p}/new`).join(";");
  await whileExchanged(
    Object.keys(paths).map((path) => join(rootfs, path)),
    [...options, rootfs, "sh", "-c", script],
  );
}

/** Runs sandboxes while each of the paths changes places with its `.other`. */
async function whileExchanged(paths: readonly string[], words: readonly string[]): Promise<void> {
  const hostile = spawn("python3", ["-c", exchange, ...paths], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await new Promise((on, reject) => {
      hostile.stdout.once("data", on);
      hostile.once("exit", (code) => reject(new Error(`it ended with ${code}`)));
    });
    let runs = 0;
    const end = performance.now() + raceMs;
    for (; performance.now() < end || runs < fewestRuns; runs++) {
      await survives(canary, words);
    }
    assert.is(hostile.exitCode, null, "it was at it until the end");
  } finally {
    hostile.kill("SIGKILL");
  }
}

const targets: Readonly<Record<string, readonly [Record<string, string>, string[]]>> = {
  "/dev, /proc and /sys": [{ dev: "empty", proc: "directory", sys: "empty" }, []],
  "files of /etc": [{ "etc/issue": "file", "etc/hostname": "file", "etc/passwd": "file" }, []],
  "/etc as a whole": [{ etc: "directory" }, ["--user=0"]],
  "the working directory": [{ "srv/work": "directory" }, ["-w", "/srv/work"]],
  "the directory above it": [{ srv: "." }, ["-w", "/srv/directory"]],
  "a masked file": [{ "etc/issue": "file" }, ["--security-opt=mask=/etc/issue"]],
  "a masked directory": [{ opt: "directory" }, ["--security-opt=mask=/opt"]],
};

for (const [name, [paths, options]] of Object.entries(targets)) {
  for (const mode of [[], ["--in-place"]]) {
    test.needs(needs, `${name} ${mode.join("")}`.trim(), async () => {
      await race(paths, [...mode, ...options]);
    });
  }
}

test.needs(needs, "the work directory of a kept upper", async () => {
  const upper = join(temporaryDirectory("race"), "upper");
  const work = workOf(upper);
  fs.mkdirSync(work);
  fs.symlinkSync(join(canary.path, "directory"), `${work}.other`);
  const words = ["--upper", upper, hostileRootfs(() => {}), "sh", "-c", "echo x >/new"];
  await whileExchanged([work], words);
});

test.run();

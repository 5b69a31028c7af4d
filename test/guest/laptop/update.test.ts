/** `sbx update` as a user gives it: what it changes is seen in the sandbox's control group. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { callersPlaces, findRunning } from "../../../launch/life/sandboxes.js";
import { sbx } from "../../support/sandbox.js";
import { started } from "../../support/started.js";
import { suite } from "../../support/suite.js";

const test = suite("laptop update");

/** Acts on a sandbox of that name with its control group, if it has one, and ends it. */
async function during(
  name: string,
  options: readonly string[],
  act: (group: string | undefined) => Promise<void>,
): Promise<void> {
  const script = "echo ready; exec sleep 600";
  const inIt = async (pid: number) => {
    try {
      await act((await findRunning(callersPlaces(process.env), name)).cgroup);
    } finally {
      process.kill(pid, "SIGKILL");
    }
  };
  await started(["--name", name, ...options], script, inIt);
}

const files = ["memory.max", "memory.swap.max", "cpu.max", "pids.max"];

test.needs("laptop guest", "limits change while it runs", () =>
  during("box", ["-m", "200m", "--memory-swap=200m"], async (group = "") => {
    const held = (file: string) => fs.readFileSync(join(group, file), "utf8").trim();
    assert.equal(files.slice(0, 2).map(held), ["209715200", "0"]);
    const { code, stdout, stderr } = await sbx(
      "update --cpus 1.5 --memory 100m --memory-swap 100m --pids-limit 9 bo".split(" "),
    );
    assert.equal([code, stdout, stderr], [0, "box\n", ""]);
    assert.equal(files.map(held), ["104857600", "0", "150000 100000", "9"]);
  }),
);

test.needs("laptop guest", "a sandbox without a control group is told of", () =>
  during("bare", [], async (group) => {
    assert.is(group, undefined);
    const { code, stderr } = await sbx(["update", "-m", "1g", "bare"]);
    assert.is(code, 1);
    assert.match(stderr, /update bare: it has no control group\. Start it with a limit/);
  }),
);

test.run();

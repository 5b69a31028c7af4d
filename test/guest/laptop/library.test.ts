/** Limits that a program gives sandboxes of its own. */
import * as assert from "uvu/assert";
import { Sandbox } from "../../../cmd/library.js";
import { busyboxRootfs } from "../../support/rootfs.js";
import { suite } from "../../support/suite.js";

const test = suite("the library's limits in the guest");

test.needs(
  ["laptop guest", "busybox"],
  "of memory, which may be another one for a command",
  async () => {
    await using box = await Sandbox.create({
      rootfs: busyboxRootfs(),
      network: ["none"],
      memory: "32m",
      memorySwap: "32m",
    });
    const use = async (options: { memory?: string; memorySwap?: string }) => {
      // tail keeps what has no end of a line, all of it.
      const script = "head -c 64m /dev/zero | tail -n 1 >/dev/null";
      const child = await box.spawn("sh", ["-c", script], { stdin: "ignore", ...options });
      return child.exit;
    };
    const [little, enough] = [await use({}), await use({ memory: "256m", memorySwap: "256m" })];
    assert.is(little.reason, "out of memory");
    assert.equal(enough, { code: 0, signal: null, reason: "exited" });
  },
);

test.run();

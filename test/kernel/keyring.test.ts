/** The caller's session keyring, and the keys in it, stay outside. */
import * as assert from "uvu/assert";
import { command, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("keyring");

/** keyctl(2) and add_key(2) of x86-64, which have no functions in the C library. */
const calls = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    result = libc.syscall(*arguments)
    return result if result >= 0 else -ctypes.get_errno()
def find(): return call(250, 10, -3, b"user", b"sbx-secret", 0)
`;

test.needs(
  ["user namespaces", "python3", "overlay"],
  "a key of the caller's is not found inside, and not looked for under the default filter",
  async () => {
    const outside = `${calls}
assert call(250, 1, None) > 0
assert call(248, b"user", b"sbx-secret", b"x", 1, -3) > 0
assert find() > 0
os.execv(sys.argv[1], sys.argv[1:])
`;
    const inside = `${calls}\nprint(-find())`;
    const found = async (...options: string[]) => {
      const words = [command, "run", ...options, "/", "python3", "-c", inside];
      return (await start(["python3", "-c", outside, ...words])).stdout;
    };
    const [EPERM, ENOKEY] = [1, 126];
    assert.is(await found("--seccomp=unconfined"), `${ENOKEY}\n`);
    assert.is(await found(), `${EPERM}\n`);
  },
);

test.needs(
  ["user namespaces", "python3", "overlay"],
  "where the quota of keys is used up, only who has the filter instead is started",
  async () => {
    // In a session keyring, which is gone with the last of its processes.
    const full = `${calls}
import time
assert call(250, 1, None) > 0
made = 0
for _ in range(20):
    while call(248, b"user", b"sbx-%d" % made, b"x", 1, -3) > 0: made += 1
    time.sleep(0.1)
os.execv(sys.argv[1], sys.argv[1:])
`;
    const inside = `${calls}\nprint(-find())`;
    const run = (...options: string[]) =>
      start(["python3", "-c", full, command, "run", ...options, "/", "python3", "-c", inside]);
    assert.is((await run()).stdout, "1\n");
    // Sandboxes of other tests that end meanwhile make room.
    for (let left = 5; left > 0; left--) {
      const { stderr } = await run("--seccomp=unconfined");
      if (/EDQUOT.*quota of keys is used up/.test(stderr)) return;
    }
    assert.unreachable("the quota was never used up");
  },
);

test.run();

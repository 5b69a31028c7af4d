/** What a user reads when the machine lacks something: the reason, the errno, and who can mend it. */
import * as fs from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import type { Host } from "../../spec/host.js";
import { compileTo, temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { command, start } from "../support/sandbox.js";
import { findInPath } from "../support/skip.js";
import { suite } from "../support/suite.js";

const test = suite("host errors");
const plain = ["unprivileged", "user namespaces", "busybox"] as const;
const full = [...plain, "subids"] as const;
const root = temporaryDirectory("host-errors");

let programs = 0;
const programFor = (rootfs: string, options: readonly string[] = [], host: Partial<Host> = {}) =>
  compileTo(join(root, `program-${++programs}`), [...options, rootfs], host);

test.needs(full, "newuidmap: missing, without its bit, and a range refused", async () => {
  const subuids = [{ start: 100_000, size: 65_536 }];
  const missing: Partial<Host> = { newuidmap: null, newgidmap: null, subuids };
  const { uid } = userInfo();
  await programFor(busyboxRootfs(), [], missing);
  const wanted = ["--uidmap", `0:${uid}:1`, "--uidmap", "1:100000:2"];
  const problem = await programFor(busyboxRootfs(), wanted, missing).catch(
    (error: Error) => error.message,
  );
  assert.match(problem, /newuidmap.*(not|no).*uidmap/);

  const helper = join(root, "newuidmap");
  fs.copyFileSync(findInPath("newuidmap") ?? "", helper);
  fs.chmodSync(helper, 0o755);
  const plainHelper = { path: helper, setuidRoot: false };
  const plainProgram = await programFor(busyboxRootfs(), [], { newuidmap: plainHelper });
  const result = await start([plainProgram, "true"]);
  assert.is(result.code, 125);
  const lines = result.stderr.trimEnd().split("\n");
  // The helper's own words come first, without which the reason would be lost.
  assert.match(
    lines.at(-1) ?? "",
    /^sbx: map ids with .*newuidmap.* not set-user-ID root.*chmod u\+s .*--userns=single/,
  );

  const foreign = await programFor(busyboxRootfs(), [], {
    subuids: [{ start: 3_000_000_000, size: 10 }],
  });
  const refused = await start([foreign, "true"]);
  assert.is(refused.code, 125);
  assert.match(
    refused.stderr,
    /newuidmap: [^\n]*\nsbx: map ids with [^\n]*\/etc\/subuid[^\n]*--userns=single[^\n]*\n$/,
  );
});

test.needs(
  plain,
  "no user namespaces, for the reasons that can be read, and for a limit that is reached",
  async () => {
    const cases: [Partial<Host["userNamespaces"]>, RegExp][] = [
      [{ max: 0 }, /max_user_namespaces.*sysctl/],
      [{ unprivilegedClone: false }, /unprivileged_userns_clone.*sysctl/],
    ];
    const userNamespaces = { max: 1000, unprivilegedClone: true, apparmorRestricted: null };
    for (const [reason, expected] of cases) {
      const host = { userNamespaces: { ...userNamespaces, ...reason } };
      const problem = await programFor(busyboxRootfs(), [], host).then(
        () => "none",
        (error: Error) => error.message,
      );
      assert.match(problem, expected);
      assert.match(problem, /^sbx: create a user namespace: [^\n]+$/);
    }
    const single = await programFor(busyboxRootfs(), ["--userns=single"]);
    const run = [command, "run", "--network=none", busyboxRootfs()];
    for (const [limit, words, step] of [
      ["max_user_namespaces", [single], "create namespaces"],
      ["max_net_namespaces", run, "make a network namespace"],
    ] as const) {
      const script = `echo 0 >/proc/sys/user/${limit}; exec "$@"`;
      const shell = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "0"];
      const limited = await start([...shell, ...words, "true"]);
      assert.is(limited.code, 125);
      const expected = `^sbx: ${step}.*: No space left on device \\(ENOSPC\\)\\. .*max_.*sysctl[^\n]*\n$`;
      assert.match(limited.stderr, new RegExp(expected), limited.stderr);
    }
  },
);

test.needs(plain, "a covered /proc, as in a container, is explained", async () => {
  // An outer namespace whose /proc has a mount on it: the kernel refuses a fresh one to those inside.
  const outer = 'mount -t tmpfs none /proc/sys && exec "$@"';
  const unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", outer, "0"];
  const { stderr, code } = await start([...unshare, command, "run", busyboxRootfs(), "true"]);
  assert.is(code, 125);
  assert.match(
    stderr,
    /^sbx: mount .*\/proc.*Operation not permitted \(EPERM\)\. .*too revealing.*--pid=host\n$/,
  );
});

test.run();

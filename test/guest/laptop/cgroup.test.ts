/** Where the control group of a sandbox is, who can change it, and that it is gone at the end. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { callersRunDirectory } from "../../../launch/facts/run-directory.js";
import { listSandboxes } from "../../../launch/life/records.js";
import { attempt, inside } from "../../support/inside.js";
import { busyboxRootfs } from "../../support/rootfs.js";
import { command, sbx, start } from "../../support/sandbox.js";
import { started } from "../../support/started.js";
import { suite } from "../../support/suite.js";

const test = suite("laptop guest: cgroup");

const limited = ["-m", "64m"];
const delegated = ["systemd-run", "--user", "--scope", "-q", "-p", "Delegate=yes"];

const groupOf = (pid: number) =>
  `/sys/fs/cgroup${fs.readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().slice("0::".length)}`;

async function cgroupOf(name: string): Promise<string> {
  const all = await listSandboxes(callersRunDirectory(process.env));
  return all.find((sandbox) => sandbox.name === name)?.cgroup ?? "";
}

/** systemd needs a moment to see that a scope is empty. */
async function gone(path: string): Promise<boolean> {
  for (let tries = 0; tries < 100 && fs.existsSync(path); tries += 1) await sleep(100);
  return !fs.existsSync(path);
}

/** A private XDG_RUNTIME_DIR, where systemd's own socket is `target`. */
function runtimeDirectory(target: string): string {
  const directory = fs.mkdtempSync(join(tmpdir(), "sbx-runtime-"));
  fs.mkdirSync(join(directory, "systemd"));
  fs.symlinkSync(target, join(directory, "systemd/private"));
  return directory;
}

test.needs(
  "laptop guest",
  "a scope with the monitor beside the sandbox, gone at the end",
  async () => {
    let scope = "";
    const { out } = await started(
      [...limited, "--name", "placed"],
      "echo ready; cat /proc/self/cgroup /sys/fs/cgroup/memory.max; read _ < /dev/zero & sleep 3",
      async (pid) => {
        const cgroup = await cgroupOf("placed");
        scope = dirname(cgroup);
        assert.match(scope, /user@1000\.service\/user\.slice\/sbx-placed-[0-9a-f]{12}\.scope$/);
        assert.is(groupOf(pid), join(scope, "sbx.monitor"));
        assert.is(fs.readFileSync(join(cgroup, "memory.max"), "utf8"), "67108864\n");
        const members = fs.readFileSync(join(cgroup, "cgroup.procs"), "utf8");
        assert.not.match(members, new RegExp(`^${pid}$`, "m"));
        assert.ok(members.split("\n").length > 2, members);
      },
    );
    assert.match(out, "0::/\n67108864\n");
    assert.ok(await gone(scope), scope);
  },
);

test.needs("laptop guest", "a killed monitor leaves neither group nor scope", async () => {
  for (const more of [[], ["--cgroup-writable", "--userns=keep-id", "--user=0"]]) {
    let scope = "";
    const make = more.length > 0 ? "mkdir -p /sys/fs/cgroup/a/b/c;" : "";
    await started(
      [...limited, "--name", "killed", ...more],
      `${make} echo ready; sleep 60`,
      async (pid) => {
        scope = dirname(await cgroupOf("killed"));
        assert.match(scope, "sbx-killed-");
        process.kill(pid, "SIGKILL");
      },
    );
    assert.ok(await gone(scope), scope);
  }
});

test.needs(
  "laptop guest",
  "root inside, with all capabilities and no filter, raises no limit",
  async () => {
    const all = ["--cap-add=ALL", "--security-opt=seccomp=unconfined", "--read-only"];
    const script = `
cd /sys/fs/cgroup
echo 1g > memory.max || mount -o remount,bind,rw /sys/fs/cgroup
echo 1g > memory.max || echo max > pids.max || mkdir below
echo $$ > below/cgroup.procs && cat /proc/self/cgroup
unshare -Cm sh -c 'mount -t cgroup2 none /tmp && ls -d /tmp/memory.max && echo 1g > /tmp/memory.max'
cat /sys/fs/cgroup/memory.max
cd /; umount /sys/fs/cgroup && ls /sys/fs/cgroup
cat /proc/1/cgroup`;
    const result = await sbx(["run", ...limited, ...all, "/", "bash", "-c", script]);
    assert.match(result.stderr, /memory\.max: Read-only file system[\s\S]*Operation not permitted/);
    assert.is(result.stdout.match(/\b1073741824\b/), null);
    assert.match(result.stdout, /^0::\/below$/m);
    assert.match(result.stdout, /^67108864$/m);
    assert.match(result.stdout, /^0::\/$/m);
  },
);

test.needs(
  "laptop guest",
  "a writable group can be divided, up to its limit, and all of it is gone",
  async () => {
    const script = `cat /proc/self/cgroup; cd /sys/fs/cgroup
echo +memory > cgroup.subtree_control; mkdir -p a/b && echo 1m > a/memory.max && cat a/memory.max
echo 1g > memory.max`;
    const slice = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/user.slice";
    for (const ids of [[], ["--userns=keep-id", "--user=0"]]) {
      const { stdout, stderr } = await attempt(
        [...limited, "--name=divided", "--cgroup-writable", ...ids],
        script,
      );
      assert.is(stdout, "0::/init.scope\n1048576\n");
      assert.match(stderr, "Operation not permitted");
    }
    for (const name of fs.readdirSync(slice).filter((each) => each.startsWith("sbx-divided-"))) {
      assert.ok(await gone(join(slice, name)), name);
    }
  },
);

test.needs("laptop guest", "a sandbox in a sandbox has its group below that one's", async () => {
  const outer = ["-m", "512m", "--cgroup-writable", "--cap-add=ALL"];
  const open = ["--security-opt=seccomp=unconfined", "--security-opt=unmask=ALL"];
  const inner = `${command} run -m 64m --userns=single --read-only / cat /sys/fs/cgroup/memory.max`;
  const script = `${inner}; ls -d /sys/fs/cgroup/*/`;
  const result = await sbx(["run", ...outer, ...open, "/", "sh", "-c", script]);
  assert.is(result.stdout, "67108864\n/sys/fs/cgroup/init.scope/\n", result.stderr);
});

test.needs(
  "laptop guest",
  "a delegated group serves as well, if nobody else is in it",
  async () => {
    const run = [command, "run", "--cgroup-manager=cgroupfs", ...limited, busyboxRootfs()];
    const { stdout, stderr } = await start([
      ...delegated,
      ...run,
      "cat",
      "/sys/fs/cgroup/memory.max",
    ]);
    assert.is(stdout, "67108864\n", stderr);
    const shared = await start([...delegated, "sh", "-c", '"$@"; exit', "sh", ...run, "true"]);
    assert.match(shared.stderr, "others are in it besides sbx");
  },
);

test.needs(
  "laptop guest",
  "what a killed monitor left in a directory, the next one there removes",
  async () => {
    // A shell in a leaf, so that the group above can be divided; the sandboxes' parent is beside it.
    const script = `set -e
top=/sys/fs/cgroup$(sed s/0::// /proc/self/cgroup)
mkdir $top/shell $top/parent; echo $$ > $top/shell/cgroup.procs
echo +memory > $top/cgroup.subtree_control
run() { exec "$0" run --cgroup-parent=$top/parent -m 64m --name="$1" "$2" sh -c "$3"; }
run stale "$1" 'sleep 60' &
until [ -e $XDG_RUNTIME_DIR/sbx/sandboxes/stale ]; do sleep 0.1; done
kill -9 $!; wait $! || true
ls $top/parent | grep -c sbx-
(run stale "$1" true)
ls $top/parent | grep -c sbx- || true`;
    const words = [...delegated, "sh", "-c", script, command, busyboxRootfs()];
    const { stdout, stderr } = await start(words);
    assert.is(stdout, "1\n0\n", stderr);
  },
);

test.needs("laptop guest", "with the host's pids, what is left behind is killed", async () => {
  const script = "sleep 4321 & sleep 4321 & exit 3";
  assert.is((await attempt([...limited, "--pid=host"], script)).code, 3);
  assert.is(spawnSync("pgrep", ["-f", "sleep 4321"], { encoding: "utf8" }).stdout, "");
});

test.needs(
  "laptop guest",
  "systemd is reached by its own socket too, and its words are told",
  async () => {
    const XDG_RUNTIME_DIR = runtimeDirectory("/run/user/1000/systemd/private");
    const options = { env: { XDG_RUNTIME_DIR } };
    assert.is(await inside(limited, "cat /sys/fs/cgroup/memory.max", options), "67108864\n");
    for (const each of [options, {}]) {
      const { code, stderr } = await attempt(
        [...limited, "--cgroup-parent=-a.slice"],
        "true",
        each,
      );
      assert.is(code, 125);
      assert.match(
        stderr,
        /^sbx: have systemd start a scope below -a\.slice: systemd did not start it \(Unit -a\.slice [^()]*\)\. /,
      );
    }
  },
);

test.needs("laptop guest", "a manager that hangs up or refuses is an error", async () => {
  for (const [answer, why] of [
    ["", "ECONNRESET"],
    ["REJECTED EXTERNAL\r\n", "EACCES"],
    // A header that announces more than there can be.
    [
      "OK 0\r\nl\u0004\u0001\u0001\u0000\u0000\u0000\u0001\u0001\u0000\u0000\u0000\u0000\u0000\u0000\u0000",
      "EMSGSIZE",
    ],
  ] as const) {
    const socket = join(fs.mkdtempSync(join(tmpdir(), "sbx-fake-")), "socket");
    const server = createServer((client) => {
      client.on("error", () => {});
      client.once("data", () =>
        answer === "" ? client.destroy() : client.write(answer, "latin1"),
      );
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    try {
      const env = { XDG_RUNTIME_DIR: runtimeDirectory(socket) };
      const { code, stderr } = await attempt(limited, "true", { env });
      assert.is(code, 125);
      assert.match(stderr, `below user.slice: `);
      assert.match(stderr, `(${why})`);
    } finally {
      server.close();
    }
  }
});

test.needs(
  "laptop guest",
  "without a manager, and without the controller, the error has the mend",
  async () => {
    const as = (user: string, ...options: string[]) =>
      start([
        "sudo",
        "-u",
        user,
        "env",
        "-u",
        "XDG_RUNTIME_DIR",
        command,
        "run",
        ...options,
        "/",
        "true",
      ]);
    const { code, stderr } = await as("ssh", ...limited);
    assert.is(code, 125);
    assert.match(stderr, "no systemd of yours is running here");
    assert.match(stderr, "sudo loginctl enable-linger ssh");
    assert.is((await as("ssh", "--read-only")).code, 0);
    const cpus = await as("plain", "--cpuset-cpus=0");
    assert.match(cpus.stderr, "cpuset is not delegated to your systemd. sudo mkdir -p /etc");
  },
);

test.needs("laptop guest", "512 KiB are enough for /bin/true, each time", async () => {
  // Compiled once, as a run takes no Node then: the answer ends with the program's path.
  const script = `answer=$(node "$1" run -m 512k / /bin/true)
for i in $(seq 36); do "\${answer##* }" /bin/true || echo "run $i: $?"; done`;
  const main = join(dirname(command), "../dist/sbx.cjs");
  const { stdout, stderr } = await start(["sh", "-c", script, "sh", main]);
  assert.equal([stdout, stderr], ["", ""]);
});

test.needs("laptop guest", "too little memory is told of", async () => {
  const run = [command, "run", "-m", "16m", "--memory-swap=16m", "--status-fd=3", busyboxRootfs()];
  const words = [...run, "tail", "/dev/zero"];
  const { code, stderr, stdout } = await start(["sh", "-c", '"$@" 3>&1', "sh", ...words]);
  assert.is(code, 137);
  assert.is(stderr, "sbx: killed: out of memory, limit 16 MiB, peak 16 MiB\n");
  assert.match(stdout, `{"event":"oom","kills":1,"limitBytes":${1 << 24},"peakBytes":${1 << 24}}`);
});

test.run();

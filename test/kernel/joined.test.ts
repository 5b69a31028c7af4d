/** Sandboxes in the network of another sandbox, or of a file: what they share with it, and what not. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { attempt, compileTo, inside, temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { start } from "../support/sandbox.js";
import { childrenOf, started } from "../support/started.js";
import { suite } from "../support/suite.js";
import { leftNaming } from "../support/until.js";

const test = suite("joined networks");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay", "subids"] as const;
const directory = temporaryDirectory("joined");
// Names are free here, whatever other test files run.
process.env.XDG_RUNTIME_DIR = directory;
const everything = ["--cap-add=ALL", "--security-opt=seccomp=unconfined"];
const namespaces = ["net", "user", "mnt", "pid", "ipc", "uts"];
const joined = ["--network=container:web"];

/** A sandbox `web` with a script around its end, as long as `act` takes. */
const web = (options: readonly string[], script: string, act: (pid: number) => Promise<void>) =>
  started(["--name=web", "--network=none", ...options], script, async (pid) => {
    await act(pid).finally(() => process.kill(pid, "SIGTERM"));
  });
const idle = "echo ready; exec sleep 60";

test.needs(needs, "the network is shared, and nothing else", async () => {
  const server = "(while :; do echo hello | nc -l -p 8080; done) & echo ready; wait";
  await web([], server, async (pid) => {
    const [init = 0] = childrenOf(pid);
    const [payload = 0] = childrenOf(init);
    const script = namespaces.map((name) => `readlink /proc/self/ns/${name}`).join("; ");
    const links = (await inside(joined, script)).trim().split("\n");
    const theirs = namespaces.map((name) => readlinkSync(`/proc/${payload}/ns/${name}`));
    assert.equal(
      namespaces.filter((_, index) => links[index] === theirs[index]),
      ["net"],
    );
    // It may not listen yet, or not again.
    const ask = "until nc -w 5 127.0.0.1 8080 2>/dev/null; do sleep 0.05; done";
    assert.is(await inside(joined, ask), "hello\n");
    assert.is(await inside(["--network=container:we"], ask), "hello\n");
  });
});

test.needs(
  needs,
  "ids are the same files' owners as ever, whatever the other one's map",
  async () => {
    const options = ["--userns=keep-id", "--user=0"];
    const script = "touch /etc/own && chown 1001:1001 /etc/own && stat -c %u:%g /etc/own && id -u";
    await web(options, idle, async () => {
      assert.is(await inside(joined, script), "1001:1001\n0\n");
      const own = await inside(["--userns=keep-id", ...joined], "id -u");
      assert.is(own, `${process.getuid?.()}\n`);
      assert.is(await inside(["--userns=single", ...joined], "wc -l </proc/self/uid_map"), "1\n");
    });
    await web(["--userns=single"], idle, async () => {
      assert.is(await inside(joined, "wc -l </proc/self/uid_map"), "1\n");
      const asked = await attempt([...joined, "--uidmap=0:100000:1"], "true");
      assert.is(asked.code, 125);
    });
  },
);

test.needs(needs, "it goes on when the other one ends", async () => {
  await started(["--name=web", "--network=none"], idle, async (pid) => {
    const script = "echo ready; sleep 1; ip -o link show lo | grep -c UP";
    const { code, out } = await started(joined, script, () => {
      process.kill(pid, "SIGKILL");
    });
    assert.equal([code, out], [0, "ready\n1\n"]);
  });
});

test.needs(
  needs,
  "with full capabilities it has none over the network, and sees nobody",
  async () => {
    await web(everything, idle, async () => {
      const script = [
        "ip link set lo down",
        "ip addr add 10.0.0.1/8 dev lo",
        "mkdir /tmp/sys && mount -t sysfs none /tmp/sys",
        "echo 1 >/proc/sys/net/ipv4/ip_forward",
        "kill -9 -1",
        "ls /proc | grep -c '^[0-9]'",
        "ip -o link show lo | grep -c UP",
      ].join("; ");
      const { stdout, stderr } = await attempt([...joined, ...everything], script);
      assert.match(stdout, /^[345]\n1\n$/);
      assert.is(stderr.match(/Operation not permitted|[Pp]ermission denied|Read-only/g)?.length, 4);
    });
  },
);

test.needs(needs, "the other one, whose root has rights over it, cannot reach it", async () => {
  const script = `echo ready; nc -l -p 9 >/dev/null; kill -9 -1 2>/dev/null; ls /proc | grep -c '^[0-9]'
    for p in /proc/[0-9]*; do nsenter -t \${p##*/} -U true 2>/dev/null && echo entered; done
    echo done; exec sleep 60`;
  const said = await web(everything, script, async () => {
    const { code, stdout } = await attempt(
      joined,
      "until echo | nc 127.0.0.1 9 2>/dev/null; do sleep 0.05; done; sleep 2; echo alive",
    );
    assert.equal([code, stdout], [0, "alive\n"]);
  });
  assert.match(said.out, /^ready\n[345]\ndone\n$/);
});

test.needs(needs, "names are those of the other one and its own", async () => {
  await web(["--add-host=db:10.1.2.3", "--hostname=other"], idle, async () => {
    const hosts = await inside(
      [...joined, "--hostname=own", "--add-host=x:10.1.2.4"],
      "cat /etc/hosts",
    );
    assert.match(hosts, /^10\.1\.2\.3\tdb\n10\.1\.2\.4\tx\n127\.0\.0\.1\town other web\n/m);
    assert.is(await inside(joined, "hostname"), "sbx\n");
  });
});

for (const [how, requirements, options] of [
  ["with an init", needs, []],
  ["without one", needs, ["--no-init"]],
  ["with fuse-overlayfs", [...needs, "fuse-overlayfs"], ["--overlay=fuse"]],
] as const) {
  test.needs(requirements, `it ends with its monitor, and by signals: ${how}`, async () => {
    const marker = `85${process.pid}.${options.length}`;
    const script = `trap 'exit 7' TERM; echo ready; sleep ${marker} & wait`;
    await web([], idle, async () => {
      const ended = await started([...joined, ...options], script, (pid) => {
        process.kill(pid, "SIGTERM");
      });
      assert.equal([ended.code, ended.signal], [7, null]);
      await started([...joined, ...options], script, (pid) => {
        process.kill(pid, "SIGKILL");
      });
      assert.equal(await leftNaming(marker), []);
    });
  });
}

test.needs(needs, "what cannot be joined is refused", async () => {
  const refusal = async (option: string) => {
    const { code, stderr } = await attempt([`--network=${option}`], "true");
    assert.is(code, 125, stderr);
    return stderr;
  };
  assert.match(await refusal("container:nobody"), /nobody: there is none of that name or ID/);
  await started(["--name=shared", "--network=host"], idle, async (pid) => {
    assert.match(await refusal("container:shared"), /has the network of this machine/);
    process.kill(pid, "SIGTERM");
  });
  await web(["--pid=host"], idle, async () => {
    assert.match(
      await refusal("container:web"),
      /sees the processes of this machine.*without --pid=host/,
    );
  });
  assert.match(await refusal("ns:/nowhere"), /namespace \/nowhere: .*ENOENT/);
  assert.match(await refusal("ns:/etc/passwd"), /passwd: it is no network namespace/);
  assert.match(await refusal("ns:/proc/self/ns/mnt"), /it is no network namespace/);
  assert.match(await refusal("ns:/proc/1/ns/net"), /\(EACCES\)\. That process is another user's/);
  assert.match(await refusal("ns:/proc/self/ns/net"), /\(EPERM\)\. It belongs to this machine/);
  const sysctl = await attempt(["--network=ns:/x", "--sysctl=net.ipv4.ip_forward=1"], "true");
  assert.match(sysctl.stderr, /--sysctl net\.ipv4\.ip_forward: is a setting of the network/);
});

test.needs(needs, "one that ends between the compilation and the start is missed", async () => {
  const program = join(directory, "late");
  const run = () => start([program, "true"]);
  await web([], idle, async () => {
    await compileTo(program, [...joined, busyboxRootfs()]);
    assert.is((await run()).code, 0);
  });
  const gone = await run();
  assert.equal([gone.code, gone.stdout], [125, ""]);
  assert.match(gone.stderr, /of the sandbox web: that sandbox has ended\. It has ended meanwhile/);
  await started(["--name=web", "--network=none"], idle, (pid) => {
    process.kill(pid, "SIGKILL");
  });
  const killed = await run();
  assert.is(killed.code, 125);
  assert.match(killed.stderr, /of the sandbox web: that sandbox has ended/);
  await web(["--userns=single"], idle, async () => {
    const another = await run();
    assert.is(another.code, 125);
    assert.match(another.stderr, /of the sandbox web: that sandbox has ended/);
  });
});

test.needs(needs, "a namespace that a file leads to has only the caller's id", async () => {
  const script = "echo ready; exec sleep 60";
  const child = spawn("unshare", ["--user", "--map-root-user", "--net", "sh", "-c", script]);
  await once(child.stdout, "data");
  try {
    const path = `/proc/${child.pid}/ns/net`;
    const lines = "readlink /proc/self/ns/net; wc -l </proc/self/uid_map; id -u";
    const said = await inside([`--network=ns:${path}`], lines);
    assert.is(said, `${readlinkSync(path)}\n1\n0\n`);
    const kept = await inside([`--network=ns:${path}`, "--userns=keep-id"], "id -u");
    assert.is(kept, `${process.getuid?.()}\n`);
    const nomap = await attempt([`--network=ns:${path}`, "--userns=nomap"], "true");
    assert.match(nomap.stderr, /only your own ids are known to exist/);
  } finally {
    child.kill("SIGKILL");
  }
});

test.run();

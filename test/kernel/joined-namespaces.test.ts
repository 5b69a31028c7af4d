/** Sandboxes in the pid, ipc and uts namespaces of another one: what they share with it, and what not. */
import { readlinkSync } from "node:fs";
import * as assert from "uvu/assert";
import { attempt, inside, temporaryDirectory } from "../support/inside.js";
import { type LeftProcess, processesNaming, sbx } from "../support/sandbox.js";
import { childrenOf, started } from "../support/started.js";
import { suite } from "../support/suite.js";
import { leftNaming, until } from "../support/until.js";

const test = suite("joined namespaces");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay", "subids"] as const;
// Names are free here, whatever other test files run.
process.env.XDG_RUNTIME_DIR = temporaryDirectory("joined-ns");
const everything = ["--cap-add=ALL", "--security-opt=seccomp=unconfined"];
const files = { network: "net", pid: "pid", ipc: "ipc", uts: "uts" } as const;
type Type = keyof typeof files;
const join = (...types: Type[]) => types.map((type) => `--${type}=container:web`);
const idle = "echo shared >/dev/shm/file; echo ready; exec sleep 60";

/** A sandbox `web` with a script around its end, as long as `act` takes. */
const web = (options: readonly string[], script: string, act: (pid: number) => Promise<void>) =>
  started(["--name=web", "--hostname=other", "--network=none", ...options], script, async (pid) => {
    await act(pid).finally(() => process.kill(pid, "SIGTERM"));
  });

const payloadOf = (monitor: number) => childrenOf(childrenOf(monitor)[0] ?? 0)[0] ?? 0;

for (const types of [["pid"], ["ipc"], ["uts"], ["network", "pid", "ipc", "uts"]] as const) {
  test.needs(needs, `shared is what is asked for, and nothing else: ${types}`, async () => {
    await web([], idle, async (pid) => {
      const script = `for name in ${Object.values(files).join(" ")} user mnt; do readlink /proc/self/ns/$name; done
        hostname; cat /dev/shm/file 2>/dev/null || echo none; kill -0 1; ls -d /proc/[0-9]* | wc -l`;
      const lines = (await inside(join(...types), script)).split("\n");
      const all = Object.keys(files) as Type[];
      const payload = payloadOf(pid);
      const same = all.filter(
        (type, index) => lines[index] === readlinkSync(`/proc/${payload}/ns/${files[type]}`),
      );
      assert.equal(same, types);
      assert.not.equal(lines[4], readlinkSync(`/proc/${payload}/ns/user`));
      assert.not.equal(lines[5], readlinkSync(`/proc/${payload}/ns/mnt`));
      const has = (type: Type) => (types as readonly Type[]).includes(type);
      assert.is(lines[6], has("uts") ? "other" : "sbx");
      assert.is(lines[7], has("ipc") ? "shared" : "none");
    });
  });
}

test.needs(needs, "all see each other's processes, and the masks hold", async () => {
  await web([], idle, async () => {
    const script = `ls /proc/1/root 2>/dev/null && echo entered; cat /proc/1/environ 2>/dev/null
      echo x >/proc/sys/kernel/domainname; cat /proc/keys /proc/timer_list; tr '\\0' ' ' </proc/2/cmdline
      grep -c ^ /proc/mounts >/dev/null; test -d /proc/self/fd && echo end`;
    const { stdout, stderr } = await attempt(join("pid"), script);
    assert.is(stdout, "sleep 60 end\n");
    assert.match(stderr, /Read-only file system/);
  });
});

test.needs(needs, "with full capabilities it has none over the other one", async () => {
  await web(everything, `echo secret >/root/secret; ${idle}`, async (pid) => {
    const script = [
      "cat /proc/2/root/root/secret",
      "cat /proc/1/environ",
      "nsenter -t 2 -m true",
      "nsenter -t 2 -U true",
      "hostname changed",
      "umount /proc/1/root",
      "mkdir /tmp/p && mount -t proc none /tmp/p",
      "mkdir /tmp/q && mount -t mqueue none /tmp/q",
      "mount -o remount,rw /proc/sys && echo 5 >/proc/sys/kernel/msgmax",
    ].map((each, index) => `${each} && echo done ${index}`);
    const all = join("pid", "ipc", "uts", "network");
    const { stdout, stderr } = await attempt(
      [...all, ...everything],
      `${script.join("; ")}; hostname`,
    );
    assert.is(stdout, "other\n", stderr);
    assert.is(readlinkSync(`/proc/${payloadOf(pid)}/root`), "/");
  });
});

test.needs(needs, "the other one's root sees nothing of how it is put together", async () => {
  // Whatever it can look into, from the moment that it is there: the root must never be the host's.
  // It is looked up once: what is no root yet may be one a moment later.
  const hunt = `echo ready; while :; do for p in /proc/[0-9]*; do
      cd $p/root || continue; [ -e etc/issue ] || [ ! -e bin ] || echo host
      [ ! -e home/alice ] && [ -e boot ] && echo host; done; done 2>/dev/null`;
  const { out } = await web(everything, hunt, async () => {
    for (let tries = 0; tries < 5; tries++) {
      assert.is(await inside(join("pid", "ipc"), "echo done"), "done\n");
    }
  });
  assert.is(out, "ready\n");
});

test.needs(
  needs,
  "it ends with the one whose pid namespace it is in, and goes on elsewhere",
  async () => {
    for (const [types, expected] of [
      [["pid"], [137, "ready\n"]],
      [
        ["ipc", "uts"],
        [0, "ready\nshared other\n"],
      ],
    ] as const) {
      await started(["--name=web", "--hostname=other", "--network=none"], idle, async (pid) => {
        const script = "echo ready; sleep 1; echo $(cat /dev/shm/file) $(hostname)";
        const { code, out } = await started(join(...types), script, () => {
          process.kill(pid, "SIGKILL");
        });
        assert.equal([code, out], expected);
      });
    }
  },
);

test.needs(needs, "in another's pid namespace it ends with its monitor and its init", async () => {
  await web([], idle, async () => {
    for (const [signal, code, number] of [
      ["SIGTERM", 143, 1],
      ["SIGKILL", null, 2],
      ["init", 137, 3],
    ] as const) {
      const marker = `86${process.pid}.${number}`;
      const ended = await started(join("pid"), `echo ready; exec sleep ${marker}`, (pid) => {
        if (signal === "init") process.kill(childrenOf(pid)[0] ?? 0, "SIGKILL");
        else process.kill(pid, signal);
      });
      assert.is(ended.code, code);
      assert.equal(await leftNaming(marker), []);
    }
  });
});

test.needs(needs, "commands enter it, and end with it", async () => {
  await web([], idle, async (pid) => {
    const own = ["--name=own", "--network=none", ...join("pid", "ipc", "uts")];
    await started(own, "echo mine >/own; echo ready; exec sleep 60", async (monitor) => {
      const script = `cat /own /dev/shm/file; hostname; for name in pid ipc uts; do readlink /proc/self/ns/$name; done`;
      const { stdout, stderr } = await sbx(["exec", "own", "sh", "-c", script]);
      const theirs = ["pid", "ipc", "uts"].map((n) =>
        readlinkSync(`/proc/${payloadOf(pid)}/ns/${n}`),
      );
      assert.is(stdout, `mine\nshared\nother\n${theirs.join("\n")}\n`, stderr);
      const { stdout: archive } = await sbx(["cp", "own:/own", "-"]);
      assert.ok(archive.includes("mine\n"));
      const [{ HostConfig }] = JSON.parse((await sbx(["inspect", "own"])).stdout);
      const modes = ["NetworkMode", "PidMode", "IpcMode", "UTSMode"].map((key) => HostConfig[key]);
      assert.equal(modes, ["none", "container:web", "container:web", "container:web"]);
      const marker = `87${process.pid}`;
      const words = ["/bin/busybox", "sleep", marker];
      const entered = sbx(["exec", "own", ...words]);
      // The launcher and the program itself, which is in there before it is the command, name it too.
      const isIn = ({ commandLine }: LeftProcess) => commandLine === words.join(" ");
      await until("it is in there", () => processesNaming(marker).some(isIn));
      process.kill(monitor, "SIGKILL");
      assert.is((await entered).code, 137);
    });
  });
});

test.needs(needs, "what a sandbox was made of is found whatever is put there", async () => {
  const put =
    "umount /dev/shm; rmdir /dev/shm; ln -s /proc/self/fd /dev/shm; echo ready; exec sleep 60";
  await web(everything, put, async () => {
    const { code, stderr } = await attempt(join("ipc"), "true");
    assert.is(code, 125);
    assert.match(stderr, /It is no directory any more/);
  });
});

test.needs(needs, "what cannot be joined is refused", async () => {
  const refused = async (options: readonly string[], why: RegExp) => {
    const { code, stderr } = await attempt(options, "true");
    assert.is(code, 125, stderr);
    assert.match(stderr, why);
  };
  await refused(["--pid=container:nobody"], /nobody: there is none of that name or ID/);
  await refused(
    ["--pid=container:a", "--ipc=container:b"],
    /--ipc container:b: .*--pid container:a/,
  );
  await refused(
    ["--pid=container:a", "--network=container:b"],
    /--network: is of the sandbox b, and/,
  );
  await refused(["--uts=container:a", "--hostname=x"], /--hostname: .*shared with the sandbox a/);
  await refused(["--ipc=container:a", "--sysctl=kernel.msgmax=1"], /msgmax: .*the sandbox a/);
  await refused(["--pid=container:a", "--no-init"], /--init: .*joined needs the init/);
  await refused(["--pid=container:a", "--network=ns:/x"], /--network: belongs to somebody else/);
  await web(["--ipc=host"], idle, async () => {
    await refused(join("ipc"), /it has the ipc namespace of this machine.*--ipc=host/);
    await started(
      ["--name=next", "--network=none", ...join("uts")],
      "echo ready; exec sleep 60",
      async (pid) => {
        await refused(
          ["--uts=container:next"],
          /it has the uts namespace of the sandbox web. Join that one/,
        );
        assert.is(await inside(["--network=none", "--ipc=container:next"], "echo in"), "in\n");
        process.kill(pid, "SIGTERM");
      },
    );
  });
  await web(["--pid=host"], idle, async () => {
    await refused(join("uts"), /sees the processes of this machine.*without --pid=host/);
  });
});

test.run();

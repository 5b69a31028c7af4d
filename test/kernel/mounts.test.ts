/** What of the host's files a sandbox sees: its mounts, devices, masked and read-only paths. */
import * as fs from "node:fs";
import * as assert from "uvu/assert";
import { defaultMaskedPaths, defaultReadonlyPaths } from "../../spec/default.js";
import { etcFileNames } from "../../spec/host-rootfs.js";
import { attempt, inside } from "../support/inside.js";
import { busyboxRootfs, debianRootfs } from "../support/rootfs.js";
import { command, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("mounts");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;

interface MountLine {
  readonly root: string;
  readonly point: string;
  readonly options: string[];
  readonly optional: string[];
  readonly type: string;
}

/** Lines of proc_pid_mountinfo(5). */
function parseMounts(text: string): MountLine[] {
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const [before = "", after = ""] = line.split(" - ");
      const [, , , root = "", point = "", options = "", ...optional] = before.split(" ");
      return {
        root,
        point,
        options: options.split(","),
        optional,
        type: after.split(" ")[0] ?? "",
      };
    });
}

test.needs(needs, "mounts: those of the sandbox, none of the host's, all private", async () => {
  const mounts = parseMounts(await inside([], "cat /proc/self/mountinfo"));
  const types = Object.fromEntries(mounts.map(({ point, type }) => [point, type]));
  for (const [point, type] of Object.entries({
    "/": "overlay",
    "/proc": "proc",
    "/dev": "tmpfs",
    "/dev/pts": "devpts",
    "/dev/shm": "tmpfs",
    "/dev/mqueue": "mqueue",
    "/sys": "sysfs",
    "/dev/null": fs.readFileSync("/proc/self/mountinfo", "utf8").includes(" - devtmpfs ")
      ? "devtmpfs"
      : types["/dev/null"],
  })) {
    assert.is(types[point], type, point);
  }
  const known = ["/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys"].concat(
    ["null", "zero", "full", "random", "urandom", "tty"].map((name) => `/dev/${name}`),
    etcFileNames.map((name) => `/etc/${name}`),
    defaultMaskedPaths,
    defaultReadonlyPaths,
  );
  const points = mounts.map(({ point }) => point);
  assert.equal(
    points.filter((point) => !known.includes(point)),
    [],
  );
  assert.equal(points.length, new Set(points).size, "nothing is mounted over");
  // shared:N and master:N would let mounts out or in.
  assert.equal(
    mounts.flatMap(({ optional }) => optional),
    [],
  );
  for (const { root, point, options } of mounts) {
    // Devices are bound from the host's /dev, to which they would add nothing.
    if (point === "/" || root === "/null" || point.startsWith("/dev/")) continue;
    assert.ok(options.includes("nosuid"), `${point}: ${options}`);
    if (point !== "/dev") assert.ok(options.includes("noexec"), `${point}: ${options}`);
  }
});

test.needs(
  needs,
  "mounts are private where the host's are shared, as systemd has them",
  async () => {
    const shared = ["unshare", "--user", "--map-root-user", "--mount", "--propagation=shared"];
    const run = [command, "run", "--userns=single", busyboxRootfs(), "cat", "/proc/self/mountinfo"];
    const { stdout } = await start([...shared, ...run]);
    const mounts = parseMounts(stdout);
    assert.ok(mounts.some(({ point }) => point === "/dev/null"));
    assert.equal(
      mounts.flatMap(({ optional }) => optional),
      [],
    );
  },
);

test.needs(needs, "the root is pivoted to: nothing of the host is above it", async () => {
  const script =
    "cd /; cd ../../..; pwd; ls /.. | sort; ls -d /proc/self/root/../bin; readlink /proc/self/root";
  const [first, ...rest] = (await inside([], script)).trim().split("\n");
  assert.is(first, "/");
  assert.ok(!rest.includes("lost+found") && !rest.includes("boot"), rest.join());
  assert.is(rest.at(-1), "/");
});

test.needs(
  [...needs, "debian"],
  "the classic way out of a chroot ends at the sandbox's root",
  async () => {
    const rootfs = await debianRootfs();
    const script = `touch /here; perl -e 'mkdir "/jail"; chroot "/jail" or die; chdir ".." for 1 .. 64; chroot "." or die; print join " ", glob "/here /etc/os-releas[e] /tmp/*/x"'`;
    assert.is(await inside(["--cap-add=ALL"], script, { rootfs }), "/here /etc/os-release");
  },
);

test.needs(needs, "a rootfs with mounts below it: they are not the host's to change", async () => {
  const script =
    "mount -t tmpfs none /mnt && touch /mnt/x && grep -c ' /mnt ' /proc/self/mountinfo";
  const before = fs.readFileSync("/proc/self/mountinfo", "utf8");
  for (const options of [[], ["--in-place"], ["--read-only"]]) {
    assert.is(await inside(["--cap-add=SYS_ADMIN", ...options], script), "1\n");
  }
  assert.is(fs.readFileSync("/proc/self/mountinfo", "utf8"), before);
  assert.not.ok(fs.existsSync(`${busyboxRootfs()}/mnt/x`));
});

test.needs(
  [...needs, "subids"],
  "/dev: the devices by number, that work; links; nothing else",
  async () => {
    const devices = await inside(
      [],
      "cd /dev; for n in *; do if [ -L $n ]; then echo $n $(readlink $n); elif [ -c $n ]; then echo $n c $(stat -c '%t:%T %a' $n); else echo $n $(stat -c '%F %a' $n); fi; done",
    );
    assert.equal(devices.trim().split("\n").sort(), [
      "core /proc/kcore",
      "fd /proc/self/fd",
      "full c 1:7 666",
      "mqueue directory 1777",
      "null c 1:3 666",
      "ptmx pts/ptmx",
      "pts directory 755",
      "random c 1:8 666",
      "shm directory 1777",
      "stderr /proc/self/fd/2",
      "stdin /proc/self/fd/0",
      "stdout /proc/self/fd/1",
      "tty c 5:0 666",
      "urandom c 1:9 666",
      "zero c 1:5 666",
    ]);
    const script = `echo x >/dev/null && cat /dev/null && head -c 4 /dev/zero | od -An -tx1 &&
    head -c 9 /dev/urandom | wc -c && head -c 9 /dev/random | wc -c &&
    echo x >/dev/shm/x && cat /dev/shm/x && (echo out >/dev/stdout) | cat && touch /dev/new`;
    assert.is(await inside([], script), " 00 00 00 00\n9\n9\nx\nout\n");
    assert.is(
      await inside(["--user=alice"], "echo y >/dev/null; echo x >/dev/shm/x; ls /dev/shm"),
      "x\n",
    );
    assert.match((await attempt([], "echo x >/dev/full")).stderr, "No space left");
    assert.match((await attempt(["--user=alice"], "touch /dev/new")).stderr, "Permission denied");
    assert.match((await attempt([], "mknod /dev/kmsg2 c 1 11 && cat /dev/kmsg2")).stderr, "ermi");
  },
);

test.needs(
  [...needs, "debian"],
  "message queues and shared memory are the sandbox's own",
  async () => {
    const rootfs = await debianRootfs();
    const script = `ipcmk -M 4096 >/dev/null && ipcs -m | grep -c 0x; touch /dev/mqueue/own && ls /dev/mqueue; ls -a /dev/shm | wc -l`;
    assert.is(await inside([], script, { rootfs }), "1\nown\n2\n");
    const segments = (await start(["cat", "/proc/sysvipc/shm"])).stdout.split("\n").length;
    const within = await inside(["--ipc=host"], "cat /proc/sysvipc/shm", { rootfs });
    assert.is(within.split("\n").length, segments);
    if (fs.existsSync("/dev/shm")) {
      const name = `sbx-test-${process.pid}`;
      fs.writeFileSync(`/dev/shm/${name}`, "");
      const [own, hosts] = await Promise.all([
        inside([], "ls /dev/shm"),
        inside(["--ipc=host"], "ls /dev/shm"),
      ]).finally(() => fs.rmSync(`/dev/shm/${name}`));
      assert.is(own, "");
      assert.match(hosts, name);
    }
  },
);

test.needs(needs, "sysfs is read-only, also to who holds every capability", async () => {
  for (const options of [[], ["--cap-add=ALL"], ["--network=host"]]) {
    const { stderr, code } = await attempt(
      options,
      "echo 1 >/sys/kernel/mm/ksm/run; mkdir /sys/fs/cgroup/x",
    );
    assert.is(code, 1);
    assert.match(
      stderr,
      /^sh: .*(Read-only file system|nonexistent directory)[\s\S]*mkdir: .*(Read-only file system|No such file or directory)/,
    );
  }
  // It shows the devices of its own network namespace.
  assert.is(await inside([], "ls /sys/class/net"), "lo\n");
});

test.needs(needs, "masked paths are /dev/null or empty, read-only ones give EROFS", async () => {
  const script = (paths: readonly string[]) =>
    `for p in ${paths.join(" ")}; do [ -e $p ] || continue; if [ -d $p ]; then echo $p dir $(ls -A $p | wc -l) $(touch $p/x 2>&1); else echo $p $(stat -c %t:%T $p) $(head -c 1 $p | wc -c); fi; done`;
  const lines = (await inside(["--cap-add=ALL"], script(defaultMaskedPaths))).trim().split("\n");
  assert.ok(lines.length >= 3);
  for (const line of lines) {
    assert.match(line, / 1:3 0$| dir 0 touch: .*Read-only file system$/);
  }
  // Being root of a user namespace is not enough for most of these; the mount's EROFS comes first.
  const writes = `for p in ${defaultReadonlyPaths.join(" ")} /proc/sys/kernel/hostname; do [ -e $p ] && touch $p; done; echo 1 >/proc/sys/kernel/hostname`;
  const refused = (await attempt(["--cap-add=ALL"], writes)).stderr.trim().split("\n");
  assert.ok(refused.length >= 6);
  for (const line of refused) assert.match(line, "Read-only file system");
});

test.needs(needs, "--security-opt masks and unmasks", async () => {
  assert.is(
    await inside(["--security-opt=mask=/etc/passwd:/usr"], "wc -c </etc/passwd; ls -A /usr"),
    "0\n",
  );
  const unmasked = await inside(["--security-opt=unmask=ALL"], "cat /proc/self/mountinfo");
  assert.is(parseMounts(unmasked).filter(({ point }) => /^\/(proc|sys)\//.test(point)).length, 0);
  const timers = ["--security-opt=unmask=/proc/timer*"];
  assert.is(
    await inside(timers, "grep -c ' /proc/timer_list ' /proc/self/mountinfo || true"),
    "0\n",
  );
});

test.run();

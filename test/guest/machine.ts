/**
 * A Debian machine with systemd and version 2 of control groups, emulated by QEMU without KVM. Its disk
 * is made once by mmdebstrap, without root, and each kind of machine is booted once: what is kept is
 * its state while it waits for work, so that a run starts within seconds. See test/guest/service.sh.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exit, madeOnce, run } from "../support/once.js";
import { aptSources, debianSuite } from "../support/rootfs.js";

/**
 * The kinds of machine, with what the kernel is told. `laptop` has the users dev (lingering, all
 * controllers delegated), plain (lingering, with what systemd delegates by itself) and ssh (no
 * manager of its own). `old` has hpc: hybrid control groups, no subordinate ids, no helpers that map
 * them, no /dev/fuse, a home that is mounted noexec. dev and hpc may use sudo(8).
 */
export const machines = {
  laptop: { user: "dev", kernelWords: [] },
  old: { user: "hpc", kernelWords: ["systemd.unified_cgroup_hierarchy=0"] },
} as const;

export type Machine = keyof typeof machines;

const packages = [
  ..."systemd systemd-sysv systemd-resolved dbus dbus-user-session libpam-systemd udev init".split(
    " ",
  ),
  ..."kmod login passwd procps util-linux iproute2 iputils-ping sudo linux-image-cloud-amd64".split(
    " ",
  ),
  ..."uidmap slirp4netns passt fuse-overlayfs busybox-static libstdc++6 python3-minimal".split(" "),
  ..."bubblewrap tmux strace".split(" "),
];
const hook = join(import.meta.dirname, "image.sh");
const service = join(import.meta.dirname, "service.sh");

const bootLimitMs = 10 * 60_000;
/** Room for the project. Devices of a saved machine keep their size. */
export const parcelBytes = 512 * 2 ** 20;
const swapBytes = 256 * 2 ** 20;

/** The disk and the kernel: the packages, as the scripts set them up. */
function image(): Promise<string> {
  return madeOnce(`machine-${key()}`, async (work) => {
    // mmdebstrap's root is another user, who may write to these alone, and has no way into the cache.
    const out = fs.mkdtempSync(join(tmpdir(), "sbx-guest-"));
    try {
      fs.chmodSync(out, 0o711);
      for (const name of ["disk", "vmlinuz", "initrd"]) {
        fs.writeFileSync(join(out, name), "");
        fs.chmodSync(join(out, name), 0o666);
      }
      for (const path of [hook, service]) {
        fs.copyFileSync(path, join(out, path.slice(import.meta.dirname.length)));
      }
      const omit = ["doc", "man", "locale", "info"].map(
        (name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`,
      );
      const customize = `sh '${out}/image.sh' "$1" '${out}' '${process.execPath}' '${out}/service.sh'`;
      await run("mmdebstrap", [
        ...["--quiet", "--mode=unshare", "--variant=minbase", "--format=null", ...omit],
        ...[`--include=${packages.join(",")}`, `--customize-hook=${customize}`],
        ...[debianSuite(), "/dev/null", aptSources(debianSuite())],
      ]);
      await run("cp", ["-r", "--sparse=always", out, join(work, "image")]);
      return join(work, "image");
    } finally {
      fs.rmSync(out, { recursive: true, force: true });
    }
  });
}

/** Changes with everything that a saved machine is made of. */
function key(): string {
  const { mtimeMs, size } = fs.statSync(process.execPath);
  const words = [
    process.version,
    size,
    mtimeMs,
    debianSuite(),
    packages,
    machines,
    hardware("", "", "old"),
  ];
  const hash = createHash("sha256").update(JSON.stringify(words));
  for (const path of [hook, service]) hash.update(fs.readFileSync(path));
  hash.update(spawnSync("qemu-system-x86_64", ["--version"]).stdout);
  return hash.digest("hex").slice(0, 12);
}

/** A booted machine that waits for the project: a directory with `disk` and `state`. */
async function saved(machine: Machine): Promise<string> {
  const from = await image();
  return madeOnce(`machine-${key()}-${machine}`, async (work) => {
    const out = join(work, machine);
    await run("cp", ["-r", "--sparse=always", from, out]);
    const empty = join(work, "empty");
    for (const [file, bytes] of [
      [empty, parcelBytes],
      [join(out, "swap"), swapBytes],
    ] as const) {
      fs.writeFileSync(file, "");
      fs.truncateSync(file, bytes);
    }
    const ready = join(work, "ready");
    const serial = [join(out, "console"), ready].flatMap((file) => ["-serial", `file:${file}`]);
    const control = [
      ...["-serial", "null", "-monitor", "stdio"],
      // That it was stopped to be saved is not saved, or it would stay so.
      ...["-global", "migration.store-global-state=off"],
    ];
    const child = spawn(
      "qemu-system-x86_64",
      [...hardware(out, empty, machine), ...serial, ...control],
      { cwd: out, stdio: ["pipe", "ignore", "inherit"] },
    );
    const ended = exit(child, "qemu-system-x86_64");
    const booted = async () => {
      const deadline = performance.now() + bootLimitMs;
      while (!(fs.existsSync(ready) && fs.readFileSync(ready, "utf8").includes("ready"))) {
        if (performance.now() > deadline) {
          child.kill();
          throw new Error(
            `no boot in ${bootLimitMs} ms:\n${fs.readFileSync(join(out, "console"))}`,
          );
        }
        await sleep(100);
      }
    };
    await Promise.race([booted(), ended]);
    child.stdin.end('stop\nmigrate "exec:cat >state"\nquit\n');
    await ended;
    return out;
  });
}

/** What QEMU is told, without the serial lines: the console's, the work's, and that of its status. */
function hardware(directory: string, parcel: string, machine: Machine): string[] {
  const drive = (file: string) => ["-drive", `file=${file},format=raw,if=virtio,cache=unsafe`];
  return [
    ..."-m 2048 -smp 2 -display none -no-reboot -nic user,model=virtio-net-pci,restrict=on".split(
      " ",
    ),
    ...[join(directory, "disk"), parcel, join(directory, "swap")].flatMap(drive),
    ...["-kernel", join(directory, "vmlinuz"), "-initrd", join(directory, "initrd"), "-append"],
    `console=ttyS0 root=/dev/vda rw quiet systemd.show_status=no panic=-1 mitigations=off sbx.machine=${machine} ${machines[machine].kernelWords.join(" ")}`,
  ];
}

/**
 * The command that goes on from where the machine waits, with the parcel, a tar, as its second disk, and
 * the work on its standard input and output. The work's status is a line in the file `status`.
 */
export async function resume(machine: Machine, parcel: string, status: string): Promise<string[]> {
  const directory = await saved(machine);
  return [
    "qemu-system-x86_64",
    ...[...hardware(directory, parcel, machine), "-snapshot", "-serial", "null"],
    ...["-incoming", `exec:cat '${join(directory, "state")}'`, "-monitor", "none"],
    ...["-chardev", "stdio,id=work,signal=off", "-serial", "chardev:work"],
    ...["-serial", `file:${status}`],
  ];
}

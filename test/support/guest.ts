/**
 * Small virtual machines, for kernels and architectures that this machine does not have: Debian's
 * kernel and busybox and what a test brings along, in memory, under QEMU. They boot in seconds
 * without KVM, and have neither network nor disk.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { encodeCpio } from "./cpio.js";
import { temporaryDirectory } from "./inside.js";
import { madeOnce, run } from "./once.js";
import { start } from "./sandbox.js";

const machines = {
  aarch64: {
    debian: "arm64",
    kernel: "linux-image-cloud-arm64",
    // With the pointer authentication that is the default a boot takes four times the CPU.
    qemu: ["qemu-system-aarch64", "-M", "virt", "-cpu", "max,pauth-impdef=on"],
    console: "ttyAMA0",
  },
} as const;

export type GuestArchitecture = keyof typeof machines;

export interface Guest {
  readonly architecture: GuestArchitecture;
  /** What is in it besides busybox, by absolute path. All are executable. */
  readonly files: Readonly<Record<string, Uint8Array | string>>;
  /** A script of busybox's sh. Root runs it, with /proc, /sys, /dev and /tmp mounted. */
  readonly init: string;
  readonly timeoutMs?: number;
}

// pivot_root(2) refuses the file system that the kernel unpacks at boot, so it is left at once.
const leave = `#!/bin/busybox sh
/bin/busybox mount -t tmpfs -o mode=755 root /mnt
/bin/busybox cp -a /bin /root/. /mnt
exec /bin/busybox switch_root /mnt /boot
`;
const begin = "---- the init begins";
const end = "---- the init ended: ";
const boot = `#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
echo '${begin}'
sh /init
echo "${end}$?"
poweroff -f
`;

/**
 * Boots a guest of 256 MB and one processor, and gives what its init has printed. Fails where the
 * init fails or is not done in time (two minutes where none is given), with all that was said.
 */
export async function runInGuest(guest: Guest): Promise<string> {
  const { qemu, console } = machines[guest.architecture];
  const { kernel, busybox } = await parts(guest.architecture);
  const inside = { ...guest.files, "/init": guest.init, "/boot": boot };
  const initrd = join(temporaryDirectory("guest"), "initrd");
  fs.writeFileSync(
    initrd,
    encodeCpio({
      "/init": leave,
      "/bin/busybox": fs.readFileSync(busybox),
      "/mnt/.keep": "",
      ...Object.fromEntries(Object.entries(inside).map(([path, text]) => [`/root${path}`, text])),
    }),
  );
  const options = "-m 256 -nic none -display none -monitor none -serial stdio -no-reboot".split(
    " ",
  );
  // Only a panic may speak beside the init; it ends the machine.
  const boots = ["-kernel", kernel, "-initrd", initrd, "-append"];
  const { stdout, stderr, code } = await start(
    [...qemu, ...options, ...boots, `console=${console} loglevel=1 panic=-1`],
    { timeoutMs: guest.timeoutMs ?? 120_000 },
  );
  const text = stdout.replaceAll("\r\n", "\n");
  const from = text.indexOf(`${begin}\n`);
  const to = text.lastIndexOf(`${end}0\n`);
  if (code !== 0 || from < 0 || to < 0) {
    throw new Error(`the ${guest.architecture} guest failed, QEMU with ${code}:\n${text}${stderr}`);
  }
  return text.slice(from + begin.length + 1, to);
}

/**
 * From the machine's own apt sources, as the user who runs this: with lists and a state of its own,
 * apt sees another architecture on which nothing is installed, and nothing here changes.
 */
const aptConfig = (architecture: string, directory: string) => `APT::Architecture "${architecture}";
APT::Architectures { "${architecture}"; };
Dir::State "${directory}";
Dir::State::status "/dev/null";
Dir::Cache "${directory}";
APT::Sandbox::User "root";
`;
const download = `
apt-get update -qq
kernel=$(apt-cache depends "$1" | sed -n 's/^ *Depends: *\\(linux-image-.*\\)/\\1/p')
apt-get download -qq "$kernel" busybox-static
for package in *.deb; do dpkg-deb -x "$package" unpacked; done
mkdir parts
mv unpacked/boot/vmlinuz-* parts/vmlinuz
mv "$(find unpacked -path '*bin/busybox')" parts/busybox`;

/** The kernel and the busybox of an architecture, as paths. */
async function parts(
  architecture: GuestArchitecture,
): Promise<{ kernel: string; busybox: string }> {
  const { debian, kernel } = machines[architecture];
  const directory = await madeOnce(`guest-${architecture}`, async (work) => {
    const config = join(work, "apt.conf");
    fs.writeFileSync(config, aptConfig(debian, work));
    const env = { ...process.env, APT_CONFIG: config, LC_ALL: "C" };
    await run("sh", ["-ec", download, "sh", kernel], { cwd: work, env });
    return join(work, "parts");
  });
  return { kernel: join(directory, "vmlinuz"), busybox: join(directory, "busybox") };
}

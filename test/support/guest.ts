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
  /** Modules of the kernel that are loaded before. */
  readonly modules?: readonly string[];
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
for module in /modules/*; do [ ! -e "$module" ] || insmod "$module"; done
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
  const { modules = [] } = guest;
  const { kernel, busybox, module } = await parts(guest.architecture);
  const inside: Guest["files"] = {
    ...guest.files,
    ...Object.fromEntries(
      modules.map((name) => [`/modules/${name}`, fs.readFileSync(module(name))]),
    ),
    "/init": guest.init,
    "/boot": boot,
  };
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
for package; do
  # A kernel's package without a version depends on the one that has it.
  real=$(apt-cache depends "$package" | sed -n 's/^ *Depends: *\\(linux-image-.*\\)/\\1/p')
  apt-get download -qq "\${real:-$package}"
done
for package in *.deb; do dpkg-deb -x "$package" unpacked; done`;

/** Packages of Debian's for an architecture, unpacked into a directory. */
export function unpack(
  architecture: GuestArchitecture,
  packages: readonly string[],
): Promise<string> {
  const { debian } = machines[architecture];
  return madeOnce(["debian", debian, ...packages].join("-"), async (work) => {
    const config = join(work, "apt.conf");
    fs.writeFileSync(config, aptConfig(debian, work));
    const env = { ...process.env, APT_CONFIG: config, LC_ALL: "C" };
    await run("sh", ["-ec", download, "sh", ...packages], { cwd: work, env });
    return join(work, "unpacked");
  });
}

/** The kernel, its modules by name, and the busybox of an architecture, as paths. */
async function parts(architecture: GuestArchitecture) {
  const directory = await unpack(architecture, [machines[architecture].kernel, "busybox-static"]);
  const files = fs.readdirSync(directory, { recursive: true, encoding: "utf8" });
  const find = (name: RegExp): string => {
    const file = files.find((path) => name.test(path));
    if (file === undefined) throw new Error(`no package of the guest's has ${name}`);
    return join(directory, file);
  };
  return {
    kernel: find(/^boot\/vmlinuz-/),
    busybox: find(/bin\/busybox$/),
    module: (name: string) => find(new RegExp(`/${name}\\.ko$`)),
  };
}

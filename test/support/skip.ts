/** What a test may need of the machine it runs on, and whether it is there. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { release } from "node:os";
import { delimiter, join } from "node:path";
import type { Architecture } from "../../spec/host.js";

/** Why something is missing, in one phrase, or null where it is there. */
type Check = () => string | null;

const checks = {
  "user namespaces": () => works("unshare", ["--user", "--map-root-user", "true"]),
  "mount namespaces": () => works("unshare", ["--user", "--map-root-user", "--mount", "true"]),
  subids: () => subids(),
  busybox: () => staticBusybox(),
  debian: () => inPath("mmdebstrap") ?? subids(),
  overlay: () => overlay(),
  fuse: () => openable("/dev/fuse"),
  "fuse-overlayfs": () => openable("/dev/fuse") ?? inPath("fuse-overlayfs"),
  tun: () => openable("/dev/net/tun"),
  pasta: () => openable("/dev/net/tun") ?? inPath("pasta"),
  slirp4netns: () => openable("/dev/net/tun") ?? inPath("slirp4netns"),
  "a network world": () =>
    inPath("ip") ?? works("unshare", ["-Urn", "ip", "link", "add", "type", "veth"]),
  unprivileged: () => (process.getuid?.() === 0 ? "runs as root" : null),
  tmux: () => inPath("tmux"),
  strace: () => inPath("strace"),
  ip: () => inPath("ip"),
  nft: () => inPath("nft"),
  dig: () => inPath("dig"),
  objdump: () => inPath("objdump"),
  readelf: () => inPath("readelf"),
  bwrap: () => inPath("bwrap"),
  shellcheck: () => inPath("shellcheck"),
  dash: () => inPath("dash"),
  bash: () => inPath("bash"),
  zsh: () => inPath("zsh"),
  fish: () => inPath("fish"),
  python3: () => inPath("python3"),
  gcc: () => inPath("gcc"),
  libseccomp: () => works("gcc", ["-fsyntax-only", "-xc", "-include", "seccomp.h", "/dev/null"]),
  "x86-64 calls": () => x86Calls(),
  "i386 calls": () => x86Calls() ?? i386Calls(),
  "x86_64 code": () => code("x86_64"),
  "aarch64 code": () => code("aarch64"),
  "arm64 objdump": () => inPath("aarch64-linux-gnu-objdump"),
  "arm64 guest": () => inPath("qemu-system-aarch64") ?? debianPackages(),
  machines: () => machines(),
  "debian packages": () => debianPackages(),
  "laptop guest": () => machine("laptop"),
  "old guest": () => machine("old"),
  "arm64 compiler": () => inPath("aarch64-linux-gnu-gcc"),
  "arm compiler": () => inPath("arm-linux-gnueabihf-gcc"),
} satisfies Record<string, Check>;

/** What `test.needs` takes. */
export type Requirement = keyof typeof checks;

const known = new Map<Requirement, string | null>();

/** Why the requirement is not met here, or null where it is. Looked up once a process. */
export function missing(requirement: Requirement): string | null {
  let reason = known.get(requirement);
  if (reason === undefined) {
    reason = checks[requirement]();
    known.set(requirement, reason);
  }
  return reason;
}

/** The first directory of PATH with an executable of that name, as an absolute path. */
export function findInPath(name: string): string | null {
  for (const directory of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(directory, name);
    if (directory !== "" && accessible(path, fs.constants.X_OK)) return path;
  }
  return null;
}

function inPath(name: string): string | null {
  return findInPath(name) === null ? `${name} is not installed` : null;
}

function accessible(path: string, mode: number): boolean {
  try {
    fs.accessSync(path, mode);
    return true;
  } catch {
    // Every reason for a refusal is the same to the caller: it cannot be used.
    return false;
  }
}

function openable(path: string): string | null {
  const { R_OK, W_OK } = fs.constants;
  return accessible(path, R_OK | W_OK) ? null : `${path} cannot be opened`;
}

function works(command: string, args: string[]): string | null {
  const absent = inPath(command);
  if (absent !== null) return absent;
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  return status === 0 ? null : `${command} ${args.join(" ")}: ${stderr.trim()}`;
}

function read(path: string): string {
  return accessible(path, fs.constants.R_OK) ? fs.readFileSync(path, "utf8") : "";
}

function subids(): string | null {
  const helper = inPath("newuidmap") ?? inPath("newgidmap");
  if (helper !== null) return helper;
  const { status, stdout } = spawnSync("id", ["-un"], { encoding: "utf8" });
  const name = status === 0 ? stdout.trim() : `${process.getuid?.()}`;
  const owns = (path: string) =>
    read(path)
      .split("\n")
      .some((line) => line.startsWith(`${name}:`) || line.startsWith(`${process.getuid?.()}:`));
  return owns("/etc/subuid") && owns("/etc/subgid") ? null : `${name} has no subordinate ids`;
}

/** The kernel loads the module when the first is mounted. */
function overlay(): string | null {
  const known = /\boverlay\b/.test(read("/proc/filesystems"));
  const loadable = read(`/lib/modules/${release()}/modules.dep`).includes("/overlay.ko");
  return known || loadable ? null : "the kernel has no overlay";
}

function staticBusybox(): string | null {
  const path = findInPath("busybox");
  if (path === null) return "busybox is not installed";
  // PT_INTERP names the loader that a dynamic program needs, and a rootfs of one file lacks.
  const dynamic = fs.readFileSync(path).subarray(0, 4096).includes("/ld-");
  return dynamic ? "busybox is not static: install busybox-static" : null;
}

function x86Calls(): string | null {
  return process.arch === "x64" ? inPath("gcc") : `this machine is ${process.arch}, not x64`;
}

/** What the programs are compiled for that run here as they are. */
export const nativeArchitecture: Architecture = process.arch === "arm64" ? "aarch64" : "x86_64";

/** The words in front of a program of that architecture; QEMU makes its system calls here. */
export const emulator = (architecture: Architecture): readonly string[] =>
  architecture === nativeArchitecture ? [] : [`qemu-${architecture}-static`];

function code(architecture: Architecture): string | null {
  const [program] = emulator(architecture);
  return program === undefined ? null : inPath(program);
}

/** The file comes with CONFIG_IA32_EMULATION. */
function i386Calls(): string | null {
  return fs.existsSync("/proc/sys/abi/vsyscall32") ? null : "the kernel has no calls of i386";
}

/** Kernels for guests are Debian's, and so is another pasta. */
function debianPackages(): string | null {
  const isDebian = /^ID=debian$/m.test(read("/etc/os-release"));
  return isDebian ? (inPath("apt-get") ?? inPath("dpkg-deb")) : "the apt sources are not Debian's";
}

/** What test/guest/machine.ts needs to make a machine. */
function machines(): string | null {
  const absent = inPath("qemu-system-x86_64") ?? inPath("mmdebstrap") ?? subids();
  return absent ?? debianPackages();
}

/** Which of the machines of test/guest/machine.ts this is; empty where it is none. */
export const guestName = read("/run/sbx-guest").trim();

/** The machines of test/guest/machine.ts say which they are. */
function machine(name: string): string | null {
  if (guestName === name) return null;
  return machines() ?? "this is another machine: npm run test:guest";
}

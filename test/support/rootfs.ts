/**
 * Root file systems for tests, made once and kept in the cache. Treat them as read-only, and take a
 * copy for `--in-place`.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { testCache } from "./home.js";
import { exit, madeOnce, run } from "./once.js";
import { findInPath } from "./skip.js";

const directories = "bin dev etc home/alice mnt opt proc root run srv sys usr var/log".split(" ");

/** The users of the busybox rootfs. `big` has the highest id there is: -1 means "no change". */
const passwd = `root:x:0:0:root:/root:/bin/sh
alice:x:1000:1000:Alice:/home/alice:/bin/sh
bob:x:1001:1001::/nonexistent:/bin/sh
big:x:4294967294:4294967294::/:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
`;
const group = `root:x:0:
tty:x:5:
audio:x:29:alice
alice:x:1000:
bob:x:1001:
staff:x:50:alice,bob
big:x:4294967294:
nogroup:x:65534:
`;

/**
 * A rootfs of busybox alone: a static /bin/busybox with a link for each applet, the users root,
 * alice (1000, in audio and staff), bob (1001) and big (4294967294), /etc/issue, and empty directories.
 */
export function busyboxRootfs(): string {
  const busybox = findInPath("busybox");
  if (busybox === null) throw new Error("busybox is not installed: the test needs `busybox`");
  const bytes = fs.readFileSync(busybox);
  const content = createHash("sha256").update(bytes).update(passwd).update(group);
  content.update("etc/issue");
  for (const directory of directories) content.update(directory);
  const path = join(testCache(), `busybox-${content.digest("hex").slice(0, 12)}`);
  if (fs.existsSync(path)) return path;
  const fresh = fs.mkdtempSync(`${path}.`);
  fs.chmodSync(fresh, 0o755);
  fillBusybox(fresh, bytes);
  return put(fresh, path);
}

/** Makes the same at a path of the test's own, which must not exist. */
export function copyBusyboxRootfs(path: string): void {
  fs.cpSync(busyboxRootfs(), path, { recursive: true, verbatimSymlinks: true });
}

function fillBusybox(root: string, busybox: Uint8Array): void {
  for (const directory of directories) {
    fs.mkdirSync(join(root, directory), { recursive: true });
  }
  fs.mkdirSync(join(root, "tmp"));
  fs.chmodSync(join(root, "tmp"), 0o1777);
  for (const link of ["sbin", "usr/bin", "usr/sbin"]) {
    fs.symlinkSync(link.startsWith("usr/") ? "../bin" : "bin", join(root, link));
  }
  const program = join(root, "bin/busybox");
  fs.writeFileSync(program, busybox);
  fs.chmodSync(program, 0o755);
  const { stdout } = spawnSync(program, ["--list"], { encoding: "utf8" });
  for (const applet of stdout.trim().split("\n")) {
    if (applet !== "busybox") fs.symlinkSync("busybox", join(root, "bin", applet));
  }
  fs.writeFileSync(join(root, "etc/passwd"), passwd);
  fs.writeFileSync(join(root, "etc/group"), group);
  for (const name of ["hostname", "issue"]) {
    fs.writeFileSync(join(root, "etc", name), "busybox\n");
  }
}

/** Where another process was faster, its rootfs is as good. */
function put(fresh: string, path: string): string {
  try {
    fs.renameSync(fresh, path);
  } catch (error) {
    if (!["ENOTEMPTY", "EEXIST"].includes(`${(error as NodeJS.ErrnoException).code}`)) throw error;
    fs.rmSync(fresh, { recursive: true });
  }
  return path;
}

/**
 * A Debian (or Ubuntu) minbase of this machine's own release, from the machine's own apt sources. Its
 * files belong to the ids that `sbx run` maps: root's to the caller, all others to the subids. Takes
 * half a minute the first time.
 */
export function debianRootfs(): Promise<string> {
  return madeOnce(`${debianSuite()}-minbase`, async (work) => {
    const archive = join(work, "rootfs.tar");
    const fresh = join(work, "rootfs");
    await mmdebstrap(archive, ["--format=tar"]);
    fs.mkdirSync(fresh, { mode: 0o755 });
    await unpack(archive, fresh);
    return fresh;
  });
}

/**
 * A directory of the .deb files that this rootfs lacks for git, gcc and the headers of libc. 70 MB; the
 * first time takes a minute.
 */
export function debianPackages(): Promise<string> {
  return madeOnce(`${debianSuite()}-packages`, async (work) => {
    const include = "--include=git,gcc,libc6-dev";
    const keep = `--customize-hook=copy-out /var/cache/apt/archives '${work}'`;
    await mmdebstrap("/dev/null", ["--format=null", include, keep]);
    return join(work, "archives");
  });
}

/** The code name of this machine's release. */
export function debianSuite(): string {
  const release = fs.readFileSync("/etc/os-release", "utf8");
  const name = /^VERSION_CODENAME=(.+)$/m.exec(release)?.[1];
  if (name === undefined) throw new Error("/etc/os-release names no release of Debian or Ubuntu");
  return name;
}

function mmdebstrap(target: string, options: readonly string[]): Promise<void> {
  const mode = process.getuid?.() === 0 ? "--mode=root" : "--mode=unshare";
  const own = ["--quiet", "--variant=minbase", mode, ...options];
  return run("mmdebstrap", [...own, debianSuite(), target, aptSources(debianSuite())]);
}

/** The file of sources.list(5) that the distribution came with, in one style or the other. */
export function aptSources(suite: string): string {
  const places = ["sources.list.d/debian.sources", "sources.list.d/ubuntu.sources", "sources.list"];
  const found = places
    .map((name) => join("/etc/apt", name))
    .find((path) => fs.existsSync(path) && fs.readFileSync(path, "utf8").includes(suite));
  if (found === undefined) throw new Error(`no file of /etc/apt has sources for ${suite}`);
  return found;
}

/** Unpacks with the owners shifted as `sbx run` maps them: 0 to the caller, 1 and on to the subids. */
async function unpack(archive: string, directory: string): Promise<void> {
  const tar = [
    "tar",
    "-xp",
    "--numeric-owner",
    "--exclude=./dev/*",
    "-f",
    archive,
    "-C",
    directory,
  ];
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  if (uid === 0) return run("tar", tar.slice(1));
  // What is in the namespace can only be removed from there. `read` waits for the maps.
  const script = `echo; read -r _; "$@" || { rm -rf "$0"/*; exit 1; }`;
  const child = spawn("unshare", ["--user", "sh", "-c", script, directory, ...tar], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = exit(child, "unpack the rootfs");
  await Promise.race([new Promise((ready) => child.stdout.once("data", ready)), ended]);
  const maps = (id: number, file: string) => [
    `${child.pid}`,
    "0",
    `${id}`,
    "1",
    "1",
    ...subids(file),
  ];
  await run("newuidmap", maps(uid, "/etc/subuid"));
  await run("newgidmap", maps(gid, "/etc/subgid"));
  child.stdin.end("\n");
  await ended;
}

/** Start and size of the caller's first range. */
function subids(file: string): [string, string] {
  const { uid, username } = userInfo();
  for (const line of fs.readFileSync(file, "utf8").split("\n")) {
    const [owner, start, size] = line.split(":");
    if ((owner === username || owner === `${uid}`) && start && size) return [start, size];
  }
  throw new Error(`${file} has no range for ${username}`);
}

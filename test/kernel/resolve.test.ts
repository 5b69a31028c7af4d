/**
 * Destinations that a hostile rootfs leads astray: nothing outside it is changed or shown, whether the
 * kernel looks paths up by openat2(2) or the program walks.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { compileTo, temporaryDirectory } from "../support/inside.js";
import { copyBusyboxRootfs } from "../support/rootfs.js";
import { type SbxResult, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("resolve");
const needs = ["unprivileged", "user namespaces", "busybox", "python3"] as const;

/** Runs its arguments with a filter (seccomp(2)) under which openat2, number 437, gives ENOSYS. */
const withoutOpenat2 = `
import ctypes, os, struct, sys
code = [(0x20, 0, 0, 0), (0x15, 0, 1, 437), (0x06, 0, 0, 0x00050026), (0x06, 0, 0, 0x7fff0000)]
filter = b"".join(struct.pack("HBBI", *each) for each in code)
buffer = ctypes.create_string_buffer(filter)
program = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
os.execv(sys.argv[1], sys.argv[1:])
`;

const ways: readonly (readonly [string, (words: string[]) => Promise<SbxResult>])[] = [
  ["openat2", (words) => start(words)],
  ["the walk", (words) => start(["python3", "-c", withoutOpenat2, ...words])],
];

/** What each link is, and what mounting on it in a sandbox must give. */
const links: readonly (readonly [target: string, path: string, result: RegExp | string])[] = [
  ["CANARY", "/link", "seen"],
  ["CANARY/deep/new", "/link", "seen"],
  ["../../../../../../CANARY", "/link", "seen"],
  ["..", "/link/up", "seen"],
  ["/opt", "/link/in", "seen"],
  ["nowhere/at/all", "/link", "seen"],
  ["/new/..//./a/../b", `/link${"/deep".repeat(60)}`, "seen"],
  ["link", "/link", /Too many levels of symbolic links/],
  ["/proc/self/cwd/x", "/link", /ELOOP|ENOENT/],
  ["/proc/self/root", "/link/x", /ELOOP|ENOENT/],
  ["x".repeat(256), "/link", /File name too long/],
];

for (const [name, run] of ways) {
  test.needs(needs, `links at a destination stay inside: ${name}`, async () => {
    const root = temporaryDirectory("resolve");
    const canary = join(root, "canary");
    fs.mkdirSync(canary);
    fs.mkdirSync(join(root, "source"));
    fs.writeFileSync(join(root, "source/seen"), "");
    for (const [index, [target, path, expected]] of links.entries()) {
      for (const option of ["--in-place", "--rm"]) {
        const rootfs = join(root, `rootfs-${index}${option}`);
        copyBusyboxRootfs(rootfs);
        const text = target.replace("CANARY", target.startsWith(".") ? canary.slice(1) : canary);
        fs.symlinkSync(text, join(rootfs, "link"));
        const words = ["--userns=single", option, "-v", `${root}/source:${path}`, rootfs];
        const program = await compileTo(join(root, "program"), words);
        const { stdout, stderr } = await run([program, "ls", path]);
        const told = stdout === "seen\n" ? "seen" : stderr;
        assert.match(told, expected, `${name} ${option}: ${target}: ${stdout}${stderr}`);
        assert.equal(fs.readdirSync(canary), [], target);
      }
    }
  });

  test.needs(needs, `the working directory is looked up inside: ${name}`, async () => {
    const root = temporaryDirectory("workdir");
    const rootfs = join(root, "rootfs");
    copyBusyboxRootfs(rootfs);
    fs.mkdirSync(join(rootfs, "opt/a"));
    fs.symlinkSync("../../../../opt/a", join(rootfs, "link"));
    const at = async (path: string) => {
      const words = ["--userns=single", "-w", path, rootfs];
      return run([await compileTo(join(root, "program"), words), "pwd"]);
    };
    assert.is((await at("/link")).stdout, "/opt/a\n");
    assert.match((await at("/nowhere")).stderr, /ENOENT/);
    for (const number of [3, 4, 5, 6, 7, 8, 9, 10]) {
      const { stdout, code } = await at(`/proc/self/fd/${number}`);
      assert.equal([stdout, code], ["", 125], `fd ${number}`);
    }
  });
}

test.run();

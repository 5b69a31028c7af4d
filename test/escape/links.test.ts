/**
 * Links of a hostile rootfs at every place that sbx itself looks at, makes or mounts on. Whichever way
 * they lead, nothing outside is changed, read or shown; links that stay inside do what they should.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { hostileRootfs, makeCanary, replace, survives } from "../support/canary.js";
import { attempt, inside, temporaryDirectory } from "../support/inside.js";
import { sbx } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("escape by links");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;
const canary = makeCanary();

/** Ways out of a rootfs to a path below the canary, by the link's text. */
const ways = {
  absolute: (outside: string) => outside,
  parents: (outside: string) => `${"../".repeat(40)}${outside}`,
  "magic root": (outside: string) => `/proc/self/root${outside}`,
  "magic cwd": (outside: string) => `/proc/self/cwd/${"../".repeat(40)}${outside}`,
  "magic fd": (outside: string) => `/proc/self/fd/3/${"../".repeat(40)}${outside}`,
  "the init's root": (outside: string) => `/proc/1/root${outside}`,
  dangling: (outside: string) => `${outside}/not/there`,
} as const;

/** A place, what of the canary a link there is to be mistaken for, and the options that use it. */
interface Place {
  readonly path: string;
  readonly outside: string;
  readonly options?: readonly string[];
}

const source = temporaryDirectory("escape-source");
const volume = `escape-${process.pid}`;
test.after(async () => {
  await sbx(["volume", "rm", "--force", volume]);
});

const places: readonly Place[] = [
  { path: "data", outside: "directory", options: ["-v", `${source}:/data`] },
  { path: "data", outside: "empty", options: ["-v", "/data"] },
  { path: "data", outside: "empty", options: ["-v", `${volume}:/data:U`] },
  { path: "data", outside: "directory", options: ["--tmpfs=/data/below"] },
  { path: "data", outside: "file", options: ["-v", "/etc/os-release:/data"] },
  { path: "data", outside: "directory", options: ["--device=/dev/null:/data/null"] },
  { path: "dev", outside: "empty" },
  { path: "proc", outside: "directory" },
  { path: "sys", outside: "empty" },
  { path: "etc", outside: "directory" },
  { path: "tmp", outside: "empty" },
  { path: "etc/resolv.conf", outside: "file" },
  { path: "etc/hosts", outside: "file" },
  { path: "etc/hostname", outside: "directory/file" },
  { path: "etc/machine-id", outside: "empty" },
  { path: "etc/localtime", outside: "link" },
  { path: "etc/passwd", outside: "file", options: ["--user=alice"] },
  { path: "etc/group", outside: "file", options: ["--user=alice:staff"] },
  { path: "work", outside: "directory", options: ["-w", "/work"] },
  { path: "masked", outside: "file", options: ["--security-opt=mask=/masked"] },
  { path: "masked", outside: "directory", options: ["--security-opt=mask=/masked"] },
  { path: "bin/tool", outside: "file", options: ["--entrypoint=/bin/tool"] },
];

const look = (path: string) =>
  `cat /${path} /${path}/file; ls /${path}/; echo x >/${path}; echo x >/${path}/new; rm -r /${path}/*`;

for (const { path, outside, options = [] } of places) {
  // One each, so that what one place lets through is not held against the others.
  const canary = makeCanary();
  const place =
    `/${path} ${options.join(" ").replace(source, "SOURCE").replace(volume, "volume")}`.trim();
  const use = async (rootfs: string, modes: readonly string[][]) => {
    await Promise.all(
      modes.map((mode) => survives(canary, [...mode, ...options, rootfs, "sh", "-c", look(path)])),
    );
  };
  for (const [way, target] of Object.entries(ways)) {
    test.needs(needs, `${place}: ${way}, to a ${outside}`, async () => {
      const rootfs = hostileRootfs((root) => {
        const text = target(join(canary.path, outside));
        replace(join(root, path), (link) => fs.symlinkSync(text, link));
      });
      await use(rootfs, [[], ["--read-only"]]);
      await use(rootfs, [["--in-place"]]);
    });
  }
  test.needs(needs, `${place}: links in a circle`, async () => {
    const rootfs = hostileRootfs((root) => {
      replace(join(root, path), (link) => fs.symlinkSync("/circle", link));
      fs.symlinkSync(`/${path}`, join(root, "circle"));
    });
    await use(rootfs, [[], ["--in-place"]]);
  });
}

test.needs(needs, "links that stay inside lead where they say", async () => {
  const rootfs = hostileRootfs((root) => {
    for (const name of ["proc", "sys", "dev"]) {
      fs.mkdirSync(join(root, "real", name), { recursive: true });
      replace(join(root, name), (place) => fs.symlinkSync(`/real/${name}`, place));
    }
    replace(join(root, "var/run"), (place) => fs.symlinkSync("/run", place));
    replace(join(root, "etc/resolv.conf"), (place) => fs.symlinkSync("../var/run/resolv", place));
    fs.symlinkSync(`${"../".repeat(20)}home/alice`, join(root, "work"));
  });
  const script = "pwd; stat -c %t:%T /real/dev/null; ls -d /sys/kernel; cat /etc/resolv.conf";
  const seen = "/home/alice\n1:3\n/sys/kernel\n";
  const options = ["-w", "/work"];
  assert.match(await inside(options, script, { rootfs }), `${seen}# There is no name server`);
  // In a rootfs that is written to, what the link dangles to is not made.
  const kept = await attempt(["--in-place", ...options], script, { rootfs });
  assert.is(kept.stdout, seen);
  assert.equal(fs.readdirSync(join(rootfs, "run")), []);
});

test.needs(needs, "a working directory at /proc/self/fd/N or its like is none", async () => {
  const rootfs = hostileRootfs((root) => {
    fs.symlinkSync("/proc/self/fd/3", join(root, "link"));
  });
  for (let fd = 0; fd < 12; fd++) {
    for (const path of [
      `/proc/self/fd/${fd}`,
      `/proc/1/fd/${fd}`,
      `/proc/thread-self/fd/${fd}`,
      "/link",
    ]) {
      const { stdout } = await survives(canary, ["-w", path, rootfs, "sh", "-c", "pwd -P; ls .."]);
      assert.not.match(stdout, "rootfs");
    }
  }
  const { stdout } = await survives(canary, ["-w", "/proc/self/cwd", rootfs, "pwd", "-P"]);
  assert.ok(["", "/\n"].includes(stdout), stdout);
});

test.needs(needs, "a rootfs that is a link is the directory it leads to, seen once", async () => {
  const rootfs = hostileRootfs(() => {});
  const link = `${rootfs}-link`;
  fs.symlinkSync(rootfs, link);
  assert.is(await inside([], "cat /etc/issue", { rootfs: link }), "busybox\n");
  fs.rmSync(link);
  fs.symlinkSync(canary.path, link);
  // As its user named it. Nothing is made in it but with --in-place.
  const { code } = await sbx(["run", link, "true"]);
  assert.ok(code === 125 || code === 127);
  canary.check("");
});

for (const [what, act] of Object.entries({
  "read from": (path: string) => fs.readFileSync(join(path, "file")),
  listed: (path: string) => fs.readdirSync(join(path, "directory")),
  changed: (path: string) => fs.writeFileSync(join(path, "empty/new"), ""),
})) {
  test(`a canary that is ${what} is noticed`, () => {
    const own = makeCanary();
    own.check("");
    act(own.path);
    assert.ok(isNoticed(() => own.check("")));
  });
}

test("a canary whose text is shown is noticed", () => {
  const own = makeCanary("its text");
  own.check("the output has nothing of it");
  assert.ok(isNoticed(() => own.check("the output has its text")));
});

/** uvu's own throws() passes its assertions on. */
function isNoticed(check: () => void): boolean {
  try {
    check();
    return false;
  } catch {
    return true;
  }
}

test.needs(needs, "a file where a directory is mounted is refused in words", async () => {
  const rootfs = hostileRootfs((root) => {
    replace(join(root, "proc"), (place) => fs.writeFileSync(place, ""));
  });
  const { code, stderr } = await attempt([], "true", { rootfs });
  assert.is(code, 125);
  assert.match(stderr, /^sbx: [^\n]*\/proc[^\n]*\n$/);
});

test.run();

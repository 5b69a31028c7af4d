/**
 * Plans and programs as text, for machines and sandboxes that differ in what matters. A change of
 * any is reviewed as a diff: `SBX_UPDATE_GOLDEN=1 npm test golden` writes the files anew.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { compileSandbox } from "../../launch/compile.js";
import { explainPlan } from "../../launch/explain.js";
import { listing } from "../../launch/listing.js";
import { verify } from "../../launch/machine/verify.js";
import { defaultMounts, defaultSpec } from "../../spec/default.js";
import type { Host } from "../../spec/host.js";
import type { DirectoryEntry } from "../../spec/host-rootfs.js";
import { joinableTypes, type NamespaceType, type Spec } from "../../spec/spec.js";
import { answererProgram } from "../support/answerer.js";
import { closedSpec, etcOf, hostOf, poorHost } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const here = new URL(".", import.meta.url);
const update = process.env.SBX_UPDATE_GOLDEN === "1";

const current = { release: "6.18.0", major: 6, minor: 18 };
const base = closedSpec("/srv/debian");

function entry(name: string, more: Partial<DirectoryEntry> = {}): DirectoryEntry {
  return { name, type: "directory", mode: 0o755, readable: true, ...more };
}

/** A machine's own root: links, a directory with a mount below it, one that is not ours to read. */
const ownRoot: Host["rootfs"] = {
  path: "/",
  mode: 0o755,
  passwd: "root:x:0:0:root:/root:/bin/bash\n",
  group: "root:x:0:\n",
  etc: etcOf("file"),
  scratch: ["/var/tmp"],
  volatile: ["/run", "/tmp", "/var/tmp"],
  directories: {
    "/": [
      entry("bin", { type: "symlink", target: "usr/bin" }),
      entry("dev"),
      entry("etc"),
      entry("odd,name:here"),
      entry("proc"),
      entry("root", { readable: false, mode: 0o700 }),
      entry("run"),
      entry("swapfile", { type: "file", readable: false, mode: 0o600 }),
      entry("sys"),
      entry("tmp", { mode: 0o1777 }),
      entry("usr"),
      entry("version", { type: "file", mode: 0o644 }),
    ],
    "/usr": [entry("bin"), entry("local"), entry("lib", { type: "symlink", target: "lib64" })],
  },
};

const { hostname: _, ...nameless } = base;
const isJoinable = (type: NamespaceType) => joinableTypes.some((each) => each === type);

const layers = [
  { path: "/l/top", mode: 0o711 },
  { path: "/l/mid", mode: 0o755 },
];

const cases: Record<string, { spec: Spec; host: Host; program: boolean }> = {
  default: { spec: defaultSpec("/srv/debian"), host: hostOf({ kernel: current }), program: false },
  "no-network": { spec: base, host: hostOf({ kernel: current }), program: true },
  "single-id": {
    spec: { ...base, process: { ...base.process, terminal: false } },
    host: { ...poorHost, kernel: current },
    program: true,
  },
  "own-root": {
    spec: { ...base, root: { path: "/" } },
    host: hostOf({ kernel: current, rootfs: ownRoot }),
    program: false,
  },
  "own-root-read-only": {
    spec: { ...base, root: { path: "/", readonly: true } },
    host: hostOf({ kernel: current, rootfs: ownRoot }),
    program: false,
  },
  "read-only-on-an-old-kernel": {
    spec: { ...base, root: { ...base.root, readonly: true } },
    host: hostOf({
      kernel: { release: "5.10.0", major: 5, minor: 10 },
      mounts: [
        { mountPoint: "/srv/debian/data", type: "ext4", options: ["rw"] },
        { mountPoint: "/srv/debian-old", type: "ext4", options: ["rw"] },
      ],
    }),
    program: false,
  },
  "layers-and-a-kept-upper": {
    spec: {
      ...base,
      sbx: { ...base.sbx, lowers: ["/l/top", "/l/mid"], writes: "upper", upper: "/l/up" },
    },
    host: hostOf({ kernel: current, lowers: layers, upper: "/l/up" }),
    program: false,
  },
  "fuse-overlayfs": {
    spec: base,
    host: hostOf({
      kernel: { release: "5.4.0", major: 5, minor: 4 },
      lowers: layers,
    }),
    program: true,
  },
  "no-overlay": {
    spec: { ...base, sbx: { ...base.sbx, overlay: "none" } },
    host: hostOf({ kernel: current }),
    program: false,
  },
  "limits-in-a-scope": {
    spec: {
      ...base,
      linux: { ...base.linux, resources: { memory: { limit: 67_108_864 }, pids: { limit: 99 } } },
      sbx: { ...base.sbx, name: "web", cgroup: { manager: "auto", writable: true } },
    },
    host: hostOf({
      kernel: current,
      limits: { hasSwap: false, cpus: "0-1", mems: "0", disks: {}, files: {} },
    }),
    program: false,
  },
  pasta: {
    spec: {
      ...base,
      sbx: {
        ...base.sbx,
        network: {
          from: { mode: "auto" },
          ports: [
            { protocol: "tcp", hostPort: 8080, containerPort: 80 },
            { protocol: "tcp", hostPort: 8081, containerPort: 81 },
            { protocol: "udp", containerPort: 53 },
          ],
        },
      },
    },
    host: hostOf({ kernel: current }),
    program: true,
  },
  slirp4netns: {
    spec: {
      ...base,
      sbx: {
        ...base.sbx,
        network: {
          from: { mode: "slirp4netns" },
          ports: [{ protocol: "tcp", hostIp: "127.0.0.1", containerPort: 80 }],
        },
        statusFd: 3,
      },
    },
    host: hostOf({ kernel: current }),
    program: true,
  },
  "upper-on-disk": { spec: base, host: hostOf(), program: true },
  everything: {
    spec: {
      ...base,
      process: {
        ...base.process,
        terminal: true,
        user: { uid: 33, gid: 44, additionalGids: [5, 60], umask: 0o27 },
        env: ["PATH=/bin", "HOME=/nowhere"],
        cwd: "/srv",
        rlimits: [{ type: "RLIMIT_NOFILE", soft: 100, hard: "unlimited" }],
        noNewPrivileges: false,
        oomScoreAdj: 500,
      },
      hostname: "box",
      domainname: "example.org",
      linux: {
        ...base.linux,
        namespaces: [...base.linux.namespaces, { type: "time" }],
        timeOffsets: { monotonic: { secs: 60 }, boottime: { secs: -60, nanosecs: 5 } },
        sysctl: { "net.ipv4.ip_forward": "1" },
        seccomp: {
          defaultAction: "SCMP_ACT_ALLOW",
          flags: ["SECCOMP_FILTER_FLAG_TSYNC"],
          listenerPath: "/run/agent.sock",
          listenerMetadata: "of everything",
          syscalls: [
            { names: ["mount"], action: "SCMP_ACT_NOTIFY" },
            { names: ["frobnicate"], action: "SCMP_ACT_ERRNO" },
          ],
        },
      },
      sbx: {
        ...base.sbx,
        writes: "in-place",
        entrypoint: ["/bin/env", "-u", "X"],
        inheritEnv: ["TERM", "LANG"],
        inheritAllEnv: true,
        capAdd: ["net_admin"],
        capDrop: ["CHOWN"],
        preserveFds: 2,
        statusFd: 7,
      },
    },
    host: hostOf({ kernel: current }),
    program: true,
  },
  "on-two-networks": {
    spec: {
      ...base,
      sbx: {
        ...base.sbx,
        network: {
          from: {
            mode: "networks",
            networks: [
              { name: "closed", ip: "10.89.1.9" },
              { name: "lab", aliases: ["db"] },
            ],
          },
        },
      },
    },
    host: hostOf({
      kernel: current,
      networks: [
        {
          name: "closed",
          bridge: "sbxi00000001",
          subnet: "10.89.1.0/24",
          gateway: "10.89.1.1",
          internal: true,
          createdMs: 0,
        },
        {
          name: "lab",
          bridge: "sbxe00000002",
          subnet: "10.89.2.0/24",
          gateway: "10.89.2.1",
          subnet6: "fd00:5b::/64",
          gateway6: "fd00:5b::1",
          internal: false,
          createdMs: 0,
        },
      ],
    }),
    program: false,
  },
  "in-the-background": {
    spec: {
      ...base,
      sbx: {
        ...base.sbx,
        name: "web",
        life: {
          id: "0123456789ab",
          directory: "/home/alice/.local/share/sbx/sandboxes/0123456789ab",
          stdin: true,
          restart: { name: "on-failure", maximumRetryCount: 5 },
          log: { maxSizeBytes: 1_000_000, maxFiles: 3 },
          pidFile: "/home/alice/pid",
          removeAtEnd: false,
          start: { says: "0123456789ab", isNew: true },
        },
      },
    },
    host: hostOf({ kernel: current }),
    program: true,
  },
  "in-namespaces-of-another": {
    spec: {
      ...nameless,
      mounts: defaultMounts(["network"]),
      linux: {
        ...base.linux,
        namespaces: base.linux.namespaces.filter(({ type }) => !isJoinable(type)),
      },
      sbx: {
        ...base.sbx,
        join: { sandbox: "web", namespaces: [...joinableTypes] },
        network: { from: { mode: "sandbox", sandbox: "web" } },
      },
    },
    host: hostOf({
      kernel: current,
      joined: {
        name: "web",
        spec: { ...base, hostname: "other" },
        types: ["network", ...joinableTypes],
        from: {
          kind: "sandbox",
          name: "web",
          record: "/run/user/1000/sbx/sandboxes/web",
          head: '{"version":1',
          namespaces: [
            { type: "network", path: "/proc/7/fd/7" },
            { type: "pid", path: "/proc/7/fd/6" },
            { type: "ipc", path: "/proc/7/fd/8" },
            { type: "uts", path: "/proc/7/fd/9" },
            { type: "user", path: "/proc/7/fd/4" },
            { type: "mount", path: "/proc/7/fd/5" },
          ],
        },
        copies: ["/proc", "/dev/shm", "/dev/mqueue"],
        ids: {
          uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
          gidMappings: [{ containerID: 0, hostID: 100, size: 1 }],
          denySetgroups: true,
        },
      },
    }),
    program: false,
  },
  "no-init-shared-namespaces": {
    spec: {
      ...base,
      linux: {
        ...base.linux,
        namespaces: [{ type: "user" }, { type: "mount" }, { type: "network" }],
      },
      sbx: { ...base.sbx, init: false },
    },
    host: hostOf({ kernel: current }),
    program: false,
  },
};

const test = suite("golden plans and programs");
const written = new Set<string>();

function hold(file: string, text: string): void {
  const url = new URL(file, here);
  written.add(file);
  if (update) writeFileSync(url, text);
  assert.ok(existsSync(url), `${file} is missing: SBX_UPDATE_GOLDEN=1 writes it`);
  assert.fixture(text, readFileSync(url, "utf8"), `${file} has changed`);
}

for (const [name, { spec, host, program }] of Object.entries(cases)) {
  test(name, () => {
    const compiled = compileSandbox(spec, host);
    assert.equal(verify(compiled.program), []);
    hold(`${name}.plan.txt`, explainPlan(compiled.plan));
    if (program) hold(`${name}.program.txt`, listing(compiled.program));
  });
}

test("the answerer", () => {
  const program = answererProgram(["192.0.2.53", "2001:db8::53"]);
  assert.equal(verify(program), []);
  hold("answerer.program.txt", listing(program));
});

test("no golden file is left over", () => {
  const files = readdirSync(here).filter((file) => file.endsWith(".txt"));
  assert.equal(files.sort(), [...written].sort());
});

test("the same input gives the same bytes", () => {
  const { spec, host } = cases.default as { spec: Spec; host: Host };
  assert.equal(compileSandbox(spec, host).bytes, compileSandbox(spec, host).bytes);
});

test.run();

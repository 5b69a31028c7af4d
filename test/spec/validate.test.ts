import * as assert from "uvu/assert";
import { defaultSpec } from "../../spec/default.js";
import { SbxError } from "../../spec/error.js";
import type { LifeKeys } from "../../spec/life.js";
import { validate } from "../../spec/validate.js";
import { suite } from "../support/suite.js";

const life: LifeKeys = {
  id: "0123456789ab",
  directory: "/data/sandboxes/0123456789ab",
  stdin: false,
  restart: { name: "no" },
  log: null,
  removeAtEnd: false,
};
const test = suite("spec/validate");

/** The default spec as JSON would give it, changed. */
// biome-ignore lint/suspicious/noExplicitAny: what is changed here need not fit the type.
function changed(change: (spec: any) => void): unknown {
  const spec = JSON.parse(JSON.stringify(defaultSpec("/")));
  change(spec);
  return spec;
}

/** The problems of a spec, as `place: why. hint`. */
// biome-ignore lint/suspicious/noExplicitAny: as above.
function problems(change: (spec: any) => void): string[] {
  try {
    validate(changed(change));
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    return error.problems.map(
      ({ what, why, hint }) => `${what}: ${why}${hint === undefined ? "" : `. ${hint}`}`,
    );
  }
  return [];
}

test("reports everything at once, each at its place", () => {
  const found = problems((spec) => {
    spec.process.cwd = "home";
    spec.process.oomScoreAdj = 1001;
    spec.linux.uidMappings = [
      { containerID: 0, hostID: 1000, size: 1 },
      { containerID: 1, hostID: 100000, size: 0 },
    ];
    spec.sbx.prserveFds = 3;
    spec.sbx.statusFd = 2;
  });
  assert.equal(
    found.map((line) => line.split(":")[0]),
    [
      "process.cwd",
      "process.oomScoreAdj",
      "linux.uidMappings[1].size",
      "sbx.prserveFds",
      "sbx.statusFd",
    ],
  );
  assert.match(found[3] ?? "", /no such key\. Did you mean preserveFds\?/);
});

test("finds contradictions in the same pass as wrong values", () => {
  const found = problems((spec) => {
    spec.process.cwd = 7;
    spec.linux.namespaces = spec.linux.namespaces.filter((n: { type: string }) => n.type !== "uts");
  });
  assert.is(found.length, 2);
  assert.match(found[0] ?? "", /^process\.cwd: must be a string, not 7$/);
  assert.match(found[1] ?? "", /^hostname: is a setting of the uts namespace/);
});

const wrong: [string, (spec: ReturnType<typeof defaultSpec>) => void, RegExp][] = [
  ["a missing key", (s) => Reflect.deleteProperty(s.process, "args"), /^process\.args: is missing/],
  ["a NUL", (s) => s.process.args.push("a\0b"), /^process\.args\[1\]: .*NUL/],
  ["a setting without =", (s) => s.process.env.push("FOO"), /^process\.env\[1\]: .*NAME=VALUE/],
  ["a setting without a name", (s) => s.process.env.push("=x"), /^process\.env\[1\]/],
  [
    "uid -1",
    (s) => {
      s.process.user = { uid: 2 ** 32 - 1, gid: 0 };
    },
    /4294967294/,
  ],
  [
    "umask",
    (s) => {
      s.process.user = { uid: 0, gid: 0, umask: 512 };
    },
    /umask.*511/,
  ],
  [
    "sbx.umask",
    (s) => {
      s.sbx.umask = 512;
    },
    /^sbx\.umask/,
  ],
  [
    "a fraction",
    (s) => {
      s.process.oomScoreAdj = 0.5;
    },
    /whole number/,
  ],
  [
    "a hostname of 65 bytes",
    (s) => {
      s.hostname = `${"ä".repeat(32)}x`;
    },
    /^hostname: .*64/,
  ],
  [
    "an empty hostname",
    (s) => {
      s.hostname = "";
    },
    /^hostname/,
  ],
  [
    "a hostname that is two lines",
    (s) => {
      s.hostname = "box\n192.0.2.1 bank";
    },
    /^hostname: must .* without blanks/,
  ],
  [
    "soft above hard",
    (s) => {
      s.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 2, hard: 1 }];
    },
    /^process\.rlimits\[0\]\.soft: 2 is above/,
  ],
  [
    "soft unlimited",
    (s) => {
      s.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: "unlimited", hard: 1 }];
    },
    /soft: unlimited is above/,
  ],
  [
    "an rlimit twice",
    (s) => {
      s.process.rlimits = [
        { type: "RLIMIT_CPU", soft: 1, hard: 1 },
        { type: "RLIMIT_CPU", soft: 1, hard: 1 },
      ];
    },
    /rlimits\[1\]\.type: .*twice/,
  ],
  [
    "an rlimit of another name",
    (s) => {
      s.process.rlimits = [{ type: "RLIMIT_NOFILES" as "RLIMIT_CPU", soft: 1, hard: 1 }];
    },
    /Did you mean RLIMIT_NOFILE\?/,
  ],
  [
    "a sysctl of the host",
    (s) => {
      s.linux.sysctl = { "vm.swappiness": "1" };
    },
    /whole host/,
  ],
  [
    "a sysctl without a value",
    (s) => {
      s.linux.sysctl = { "net.ipv4.ip_forward": "" };
    },
    /sysctl\["net.ipv4.ip_forward"\]: must not be empty/,
  ],
  [
    "a mask over everything",
    (s) => {
      s.linux.maskedPaths = ["/etc/.."];
    },
    /maskedPaths\[0\]: the whole root cannot be masked/,
  ],
  [
    "a mask over what each process has its own of",
    (s) => {
      s.linux.maskedPaths = ["/proc/kcore", "//proc/./self/environ"];
    },
    /maskedPaths\[1\]: \/proc\/self\/environ is another file for each process/,
  ],
  [
    "a user without a name",
    (s) => {
      s.sbx.user = ":";
    },
    /sbx.user: must name a user/,
  ],
  [
    "a sysctl that climbs",
    (s) => {
      s.linux.sysctl = { "net./../vm.swappiness": "1" };
    },
    /no name of a sysctl/,
  ],
  [
    "domainname as sysctl",
    (s) => {
      s.linux.sysctl = { "kernel.domainname": "x" };
    },
    /Set domainname/,
  ],
  [
    "a mount of no type",
    (s) => {
      s.mounts[0] = { destination: "proc" };
    },
    /absolute path/,
  ],
  [
    "an unknown namespace",
    (s) => {
      s.linux.namespaces[0] = { type: "pidd" as "pid" };
    },
    /pid\?/,
  ],
  [
    "timeOffsets alone",
    (s) => {
      s.linux.timeOffsets = { monotonic: { secs: 1 } };
    },
    /timeOffsets: .* time namespace, which is shared/,
  ],
  [
    "statusFd 2",
    (s) => {
      s.sbx.statusFd = 2;
    },
    /^sbx\.statusFd/,
  ],
  [
    "statusFd among the passed fds",
    (s) => {
      s.sbx.preserveFds = 2;
      s.sbx.statusFd = 4;
    },
    /^sbx\.statusFd: .*Use fd 5/,
  ],
  [
    "a status fd in the background",
    (s) => {
      s.sbx.life = life;
      s.sbx.statusFd = 3;
    },
    /^sbx\.statusFd: .*in the foreground/,
  ],
  [
    "fds that are passed on in the background",
    (s) => {
      s.sbx.life = life;
      s.sbx.preserveFds = 1;
    },
    /^sbx\.preserveFds: .*in the foreground/,
  ],
  [
    "an id of 11 digits",
    (s) => {
      s.sbx.life = { ...life, id: "0123456789a" };
    },
    /^sbx\.life\.id: must be 12 hexadecimal digits/,
  ],
  [
    "preserveFds -1",
    (s) => {
      s.sbx.preserveFds = -1;
    },
    /^sbx\.preserveFds/,
  ],
  [
    "a userns of no mode",
    (s) => {
      s.sbx.userns = { mode: "all" as "auto" };
    },
    /userns\.mode/,
  ],
  [
    "a userns with ids where it takes none",
    (s) => {
      s.sbx.userns = { mode: "auto", uid: 5 } as { mode: "auto" };
    },
    /^sbx\.userns\.uid: no such key/,
  ],
  [
    "a profile, and no filter",
    (s) => {
      s.linux.seccomp = {};
      s.sbx.seccomp = "unconfined";
    },
    /^linux\.seccomp: contradicts sbx\.seccomp/,
  ],
  [
    "no command at all",
    (s) => {
      s.process.args = [];
    },
    /^process\.args: must name a command/,
  ],
  [
    "two users",
    (s) => {
      s.sbx.user = "alice";
      s.process.user = { uid: 1, gid: 1 };
    },
    /^sbx\.user/,
  ],
  [
    "read-only and in-place",
    (s) => {
      s.root.readonly = true;
      s.sbx.writes = "in-place";
    },
    /^root\.readonly/,
  ],
  [
    "read-only with an upper",
    (s) => {
      s.root.readonly = true;
      s.sbx.writes = "upper";
      s.sbx.upper = "/u";
    },
    /^root\.readonly/,
  ],
  [
    "an upper that takes no writes",
    (s) => {
      s.sbx.upper = "/u";
    },
    /^sbx\.upper/,
  ],
  [
    "layers in place",
    (s) => {
      s.sbx.writes = "in-place";
      s.sbx.lowers = ["/l"];
    },
    /^sbx\.lowers/,
  ],
  [
    "a bound for writes that are kept",
    (s) => {
      s.sbx.writes = "upper";
      s.sbx.upper = "/u";
      s.sbx.upperSizeBytes = 1;
    },
    /^sbx\.upperSizeBytes/,
  ],
  [
    "an overlay of one directory, read-only",
    (s) => {
      s.root.readonly = true;
      s.sbx.overlay = "fuse";
    },
    /^sbx\.overlay/,
  ],
  [
    "an unknown capability",
    (s) => {
      s.sbx.capAdd = ["CAP_NETRAW"];
    },
    /CAP_NET_RAW\?/,
  ],
  [
    "another major version",
    (s) => {
      s.ociVersion = "2.0.0";
    },
    /^ociVersion/,
  ],
  [
    "overlapping ids inside",
    (s) => {
      s.linux.uidMappings = [
        { containerID: 0, hostID: 5, size: 10 },
        { containerID: 9, hostID: 100, size: 1 },
      ];
    },
    /uidMappings\[1\]\.containerID: overlaps linux\.uidMappings\[0\]/,
  ],
  [
    "overlapping ids outside",
    (s) => {
      s.linux.gidMappings = [
        { containerID: 0, hostID: 5, size: 10 },
        { containerID: 10, hostID: 14, size: 1 },
      ];
    },
    /gidMappings\[1\]\.hostID: overlaps/,
  ],
  [
    "ids beyond the last one",
    (s) => {
      s.linux.uidMappings = [{ containerID: 0, hostID: 2 ** 32 - 2, size: 2 }];
    },
    /goes beyond the last id/,
  ],
];

for (const [name, change, expected] of wrong) {
  test(`refuses ${name}`, () => {
    const found = problems(change);
    assert.is(found.length, 1, found.join("\n"));
    assert.match(found[0] ?? "", expected);
  });
}

const drop = (type: string) => (spec: ReturnType<typeof defaultSpec>) => {
  spec.linux.namespaces = spec.linux.namespaces.filter((each) => each.type !== type);
};

test("requires user and mount namespaces and says why", () => {
  assert.match(problems(drop("user")).join(), /user is missing, and only in a user namespace/);
  assert.match(problems(drop("mount")).join(), /mount is missing/);
});

test("refuses id maps without a user namespace", () => {
  const found = problems((spec) => {
    drop("user")(spec);
    spec.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 1 }];
  });
  assert.is(found.length, 2);
  assert.match(found[1] ?? "", /uidMappings: is a setting of the user namespace/);
});

test("allows a sysctl only where its namespace is not shared", () => {
  const set = (name: string, without: string) =>
    problems((spec) => {
      drop(without)(spec);
      delete spec.sbx.network;
      spec.linux.sysctl = { [name]: "1" };
    }).join();
  assert.is(set("net.ipv4.ip_forward", "ipc"), "");
  assert.match(
    set("net.ipv4.ip_forward", "network"),
    /sysctl\["net.ipv4.ip_forward"\]: .* network namespace/,
  );
  assert.is(set("kernel.shmmax", "network"), "");
  assert.match(set("kernel.shmmax", "ipc"), /ipc namespace, which is shared/);
  assert.match(set("fs.mqueue.msg_max", "ipc"), /ipc namespace/);
});

test("lets only an init make a time namespace", () => {
  const timed = (init: boolean) =>
    problems((spec) => {
      spec.linux.namespaces.push({ type: "time" });
      spec.linux.timeOffsets = { boottime: { secs: -5 } };
      spec.sbx.init = init;
    });
  assert.equal(timed(true), []);
  assert.match(timed(false).join(), /sbx\.init: a time namespace needs the init/);
});

test("makes paths normal", () => {
  const spec = validate(
    changed((each) => {
      each.process.cwd = "/a//b/./../c/";
      each.linux.maskedPaths = ["/proc/../../etc"];
      each.mounts = [{ destination: "//" }];
    }),
  );
  assert.is(spec.process.cwd, "/a/c");
  assert.equal(spec.linux.maskedPaths, ["/etc"]);
  assert.is(spec.mounts[0]?.destination, "/");
});

test("takes the limits of each range", () => {
  assert.equal(
    problems((spec) => {
      spec.process.user = { uid: 4294967294, gid: 0, umask: 0o777, additionalGids: [4294967294] };
      spec.hostname = "h".repeat(64);
      spec.process.rlimits = [{ type: "RLIMIT_CORE", soft: 0, hard: "unlimited" }];
      spec.sbx.preserveFds = 2;
      spec.sbx.statusFd = 5;
      spec.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 4294967295 }];
      spec.sbx.userns = { mode: "keep-id", uid: 0 };
      spec.sbx.capDrop = ["ALL"];
    }),
    [],
  );
});

test("survives what is no spec at all", () => {
  for (const value of [null, undefined, 7, "x", [], [{}]]) {
    assert.throws(
      () => validate(value),
      (error: unknown) => error instanceof SbxError && /the spec/.test(error.message),
    );
  }
  assert.throws(() => validate({}), /process: is missing/);
  assert.throws(
    () => validate(changed((spec) => Object.assign(spec, JSON.parse('{"__proto__x": 1}')))),
    /__proto__x: no such key/,
  );
});

test.run();

/** What the payload may do: capabilities, no_new_privs, limits, umask, kernel parameters. */
import * as fs from "node:fs";
import * as assert from "uvu/assert";
import { type Capability, capabilityMask, capabilityNames } from "../../spec/capabilities.js";
import { defaultCapabilities } from "../../userns/capabilities.js";
import { attempt, fields, inside, refusal } from "../support/inside.js";
import { busyboxRootfs, debianRootfs } from "../support/rootfs.js";
import { command, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("privileges");
const plain = ["unprivileged", "user namespaces", "busybox"] as const;
const full = [...plain, "subids"] as const;

const hex = (names: readonly Capability[]) => capabilityMask(names).toString(16).padStart(16, "0");
const none = hex([]);

/** The five sets, in the order of /proc/PID/status, and NoNewPrivs. */
async function sets(...options: string[]): Promise<(string | undefined)[]> {
  const status = fields(await inside(options, "cat /proc/self/status"));
  const { CapInh, CapPrm, CapEff, CapBnd, CapAmb, NoNewPrivs } = status;
  return [CapInh, CapPrm, CapEff, CapBnd, CapAmb, NoNewPrivs];
}

/** Those that this kernel has: proc_sys_kernel(5), cap_last_cap. */
const last = Number(fs.readFileSync("/proc/sys/kernel/cap_last_cap", "utf8"));
const all = capabilityNames.slice(0, last + 1);
const root = (own: readonly Capability[]) => [none, hex(own), hex(own), hex(own), none, "1"];
const other = (own: readonly Capability[], bounding: readonly Capability[]) => [
  hex(own),
  hex(own),
  hex(own),
  hex(bounding),
  hex(own),
  "1",
];

test.needs(plain, "root holds the default set, or what was changed of it", async () => {
  assert.equal(await sets(), root(defaultCapabilities));
  assert.equal(await sets("--no-init", "--userns=single"), root(defaultCapabilities));
  assert.equal(await sets("--cap-add=ALL"), root(all));
  assert.equal(await sets("--cap-drop=ALL"), root([]));
  assert.equal(
    await sets("--cap-drop=all", "--cap-add=net_admin,CAP_CHOWN"),
    root(["CAP_NET_ADMIN", "CAP_CHOWN"]),
  );
  assert.equal(
    await sets("--cap-add=ALL", "--cap-drop=SYS_ADMIN"),
    root(all.filter((name) => name !== "CAP_SYS_ADMIN")),
  );
});

test.needs(full, "another user holds what was added by name, ambient too", async () => {
  assert.equal(await sets("--user=alice"), other([], defaultCapabilities));
  const added: Capability[] = ["CAP_NET_ADMIN", "CAP_SYS_PTRACE"];
  assert.equal(
    await sets("--user=1000", "--cap-add=net_admin", "--cap-add=sys_ptrace"),
    other(added, [...defaultCapabilities, ...added]),
  );
  assert.equal(await sets("--user=alice", "--cap-drop=ALL"), other([], []));
});

test.needs(
  full,
  "capabilities count: what they allow works, what is missing is refused",
  async () => {
    const script = "chown alice /tmp && ip link set lo down";
    assert.match((await attempt([], script)).stderr, "Operation not permitted");
    assert.is(await inside(["--cap-add=NET_ADMIN"], script), "");
    assert.match((await attempt(["--cap-drop=CHOWN"], "chown alice /tmp")).stderr, "not permitted");
    assert.is(await inside(["--user=alice", "--cap-add=CHOWN"], "chown root /home/alice"), "");
    assert.match(
      (await attempt([], "mount -t tmpfs x /mnt")).stderr,
      /permission denied|not permitted/,
    );
  },
);

test.needs(
  [...full, "debian"],
  "no_new_privs is set, and a set-user-ID file gives nothing",
  async () => {
    const rootfs = await debianRootfs();
    const script =
      "cp /usr/bin/id /tmp/id; chmod 4755 /tmp/id; su -s /bin/sh games -c '/tmp/id -u; grep NoNewPrivs /proc/self/status'";
    assert.is(await inside([], script, { rootfs }), "5\nNoNewPrivs:\t1\n");
    const allowed = ["--security-opt=no-new-privileges=false"];
    assert.is(await inside(allowed, script, { rootfs }), "0\nNoNewPrivs:\t0\n");
  },
);

test.needs(plain, "--ulimit sets soft and hard limits, all others are the caller's", async () => {
  const limits = (text: string) =>
    Object.fromEntries(
      text
        .trim()
        .split("\n")
        .map((line) => [
          line.slice(0, 26).trim(),
          line.slice(26, 68).trim().split(/\s+/).join(" "),
        ]),
    );
  const outside = limits((await start(["cat", "/proc/self/limits"])).stdout);
  assert.equal(limits(await inside([], "cat /proc/self/limits")), outside);
  const options = ["--ulimit=nofile=100:200", "--ulimit=core=0", "--ulimit=RLIMIT_CPU=7:-1"];
  assert.equal(limits(await inside(options, "cat /proc/self/limits")), {
    ...outside,
    "Max open files": "100 200",
    "Max core file size": "0 0",
    "Max cpu time": "7 unlimited",
  });
  const low = await start([
    "sh",
    "-c",
    'ulimit -n 99; exec "$@"',
    "0",
    ...run("cat /proc/self/limits"),
  ]);
  assert.is(limits(low.stdout)["Max open files"], "99 99");
  const above = ["sh", "-c", 'ulimit -n 99; exec "$@"', "0", ...run("true", "--ulimit=nofile=100")];
  const { code, stderr } = await start(above);
  assert.is(code, 125);
  assert.match(stderr, /^sbx: .*RLIMIT_NOFILE.*Operation not permitted \(EPERM\)\. .*ulimit -H/);
});

function run(script: string, ...options: string[]): string[] {
  return [command, "run", ...options, busyboxRootfs(), "sh", "-c", script];
}

test.needs(plain, "--umask, else the caller's", async () => {
  assert.is(await inside(["--umask=027"], "umask; touch /x; stat -c %a /x"), "0027\n640\n");
  const caller = await start([
    "sh",
    "-c",
    'umask 077; exec "$@"',
    "0",
    ...run("umask; touch /x; stat -c %a /x"),
  ]);
  assert.is(caller.stdout, "0077\n600\n");
});

test.needs(
  plain,
  "a strict umask of the caller's does not spoil the sandbox's own directories",
  async () => {
    const script = "stat -c '%a %n' /dev /dev/shm /proc /sys / /dev/null";
    const look = ["sh", "-c", 'umask 077; exec "$@"', "0", ...run(script)];
    assert.is((await start(look)).stdout, await inside([], script));
  },
);

test.needs(plain, "--oom-score-adj", async () => {
  const own = Number(fs.readFileSync("/proc/self/oom_score_adj", "utf8"));
  assert.is(await inside([], "cat /proc/self/oom_score_adj"), `${own}\n`);
  assert.is(await inside(["--oom-score-adj=900"], "cat /proc/self/oom_score_adj"), "900\n");
  const { code, line } = await refusal(["--oom-score-adj=-900"], [busyboxRootfs(), "true"]);
  assert.is(code, 125);
  assert.match(
    line,
    /^sbx: write "-900" to \/proc\/self\/oom_score_adj: Permission denied \(EACCES\)\. /,
  );
});

test.needs(plain, "--sysctl sets those of the sandbox's namespaces", async () => {
  const options = ["net.ipv4.ip_forward=1", "kernel.shmmax=1000000", "fs.mqueue.msg_max=7"];
  const settings = options.flatMap((each) => ["--sysctl", each]);
  const script = "cd /proc/sys; cat net/ipv4/ip_forward kernel/shmmax fs/mqueue/msg_max";
  assert.is(await inside(settings, script), "1\n1000000\n7\n");
  const cases: [string, RegExp][] = [
    [
      "net.ipv4.nosuch=1",
      /^sbx: write .*nosuch: No such file or directory \(ENOENT\)\. .*no setting/,
    ],
    ["net.ipv4.ip_forward=many", /Invalid argument \(EINVAL\)\. .*does not take this value/],
    ["vm.swappiness=1", /setting of the whole host/],
  ];
  for (const [setting, expected] of cases) {
    const { code, line } = await refusal(["--sysctl", setting], [busyboxRootfs(), "true"]);
    assert.is(code, 125);
    assert.match(line, expected);
  }
  const shared = await refusal(["--network=host", ...settings], [busyboxRootfs(), "true"]);
  assert.match(shared.line, "shared with the host");
});

test.run();

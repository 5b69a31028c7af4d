/** What separates a sandbox from the host: namespaces, names, the network, clocks. */
import * as fs from "node:fs";
import { hostname } from "node:os";
import * as assert from "uvu/assert";
import { attempt, inside, refusal } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { suite } from "../support/suite.js";

const test = suite("isolation");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;

const types = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"] as const;
type NamespaceName = (typeof types)[number];
/** By name, the namespaces that a process of this name is in. */
type Namespaces = Record<string, string>;
const look = `for n in ${types.join(" ")}; do echo "$n $(readlink /proc/self/ns/$n)"; done`;

function parse(text: string): Namespaces {
  return Object.fromEntries(text.split("\n").map((line) => line.split(" "))) as Namespaces;
}

const host: Namespaces = Object.fromEntries(
  types.map((name) => [name, fs.readlinkSync(`/proc/self/ns/${name}`)]),
);

function shared(namespaces: Namespaces): NamespaceName[] {
  return types.filter((name) => namespaces[name] === host[name]);
}

test.needs(needs, "every namespace but time is the sandbox's own", async () => {
  assert.equal(shared(parse(await inside([], look))), ["time"]);
  assert.equal(shared(parse(await inside(["--userns=single", "--no-init"], look))), ["time"]);
  assert.equal(shared(parse(await inside(["--time-offset=1d"], look))), []);
});

for (const [option, name] of [
  ["--pid=host", "pid"],
  ["--ipc=host", "ipc"],
  ["--uts=host", "uts"],
  ["--network=host", "net"],
  ["--net=host", "net"],
  ["--cgroupns=host", "cgroup"],
] as const) {
  test.needs(needs, `${option} shares that namespace and no other`, async () => {
    const text = await inside([option], `${look}; echo $$`);
    assert.equal(
      shared(parse(text)),
      types.filter((each) => each === name || each === "time"),
    );
    const pid = Number(text.trim().split("\n").at(-1));
    assert.ok(name === "pid" ? pid > 3 : pid <= 3, `pid ${pid}`);
  });
}

test.needs(needs, "all that can be shared, shared at once", async () => {
  const options = ["pid", "ipc", "uts", "network", "cgroupns"].map((name) => `--${name}=host`);
  const own = types.filter((name) => name !== "user" && name !== "mnt");
  assert.equal(shared(parse(await inside(options, look))), own);
  assert.is(await inside(["--uts=host"], "hostname"), `${hostname()}\n`);
});

test.needs(needs, "host and domain name", async () => {
  const names = "hostname; cat /proc/sys/kernel/domainname; echo $HOSTNAME";
  assert.is(await inside([], names), "sbx\n(none)\nsbx\n");
  const options = ["--hostname=one.example", "--domainname=two"];
  assert.is(await inside(options, names), "one.example\ntwo\none.example\n");
  const { line } = await refusal(["--uts=host", "-h", "x"], [busyboxRootfs(), "true"]);
  assert.match(line, "shared with the host");
});

test.needs([...needs, "subids"], "loopback is up, and there is no way out", async () => {
  // The server answers what it is told. Its own input is not forwarded, whose end would end the dialogue early.
  const talk =
    "nc -l -p 5555 -e cat & until echo ping | nc 127.0.0.1 5555 2>/dev/null; do usleep 20000; done; wait";
  for (const options of [["--userns=single"], ["--user=alice"]]) {
    assert.is(await inside(options, talk), "ping\n");
  }
  assert.is(
    await inside([], "ping -c 1 -W 1 ::1 >/dev/null; ls /sys/class/net; ip route | wc -l"),
    "lo\n0\n",
  );
  const { stderr } = await attempt([], "nc -w 1 192.0.2.1 9");
  assert.match(stderr, "Network is unreachable");
});

test.needs(needs, "--time-offset: the clocks inside are ahead", async () => {
  const uptime = () => Number(fs.readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  const ahead = async (offset: string) => {
    const before = uptime();
    const seen = Number(
      (await inside(["--time-offset", offset], "cat /proc/uptime")).split(" ")[0],
    );
    return [seen - before, seen - uptime()] as const;
  };
  // Rounded to hundredths of a second, and read a moment apart.
  const tolerance = 0.5;
  const near = (offset: number, [most, least]: readonly [number, number]) =>
    assert.ok(least < offset + tolerance && most > offset - tolerance, `${least} ${most}`);
  near(259_200, await ahead("3d"));
  near(1000, await ahead("monotonic=5,boottime=1000"));
});

test.run();

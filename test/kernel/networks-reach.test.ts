/**
 * What sandboxes on networks reach and what they do not, with real traffic, in a world of the test's own;
 * also of those whose command has all capabilities and does what it can.
 */
import * as assert from "uvu/assert";
import { useNetworks } from "../support/networks.js";
import { suite } from "../support/suite.js";
import {
  here,
  insideOf,
  makeWorld,
  remote,
  sandboxOf,
  sbxIn,
  serving,
  soon,
  trafficOf,
  triesBy,
  type World,
} from "../support/world.js";

const test = suite("reach of networks");
const needs = ["unprivileged", "user namespaces", "a network world", "pasta"] as const;

useNetworks("reach", [
  { name: "one", subnet6: "fd00:5b:1::/64", gateway6: "fd00:5b:1::1" },
  { name: "two", subnet6: "fd00:5b:2::/64", gateway6: "fd00:5b:2::1" },
  { name: "closed", internal: true },
]);
const gateway = { one: "10.89.0.1", two: "10.89.1.1", two6: "fd00:5b:2::1" };
const sandbox = { one: "10.89.0.2", two: "10.89.1.2", two6: "fd00:5b:2::2" };

let world: World;
test.before.each(async () => {
  world = await makeWorld();
});
test.after.each(() => world.end());

/** A sandbox on that network that serves port 80 as long as the world is there. */
const server = (network: string, name: string) =>
  serving([
    ...world.here,
    ...sandboxOf(`--network=${network}`, `--name=${name}`, ...insideOf("serve", "80")),
  ]);

/** What traffic.mjs prints in a sandbox with these options. */
async function from(options: string, ...words: string[]): Promise<string> {
  const { stdout, stderr } = await sbxIn(world, [...options.split(" "), ...insideOf(...words)]);
  return `${stdout}${stderr}`.trimEnd();
}

/** What a script prints in a sandbox on the network `one` whose command has all capabilities. */
async function hostile(script: string): Promise<string> {
  const [volume = "", root = ""] = insideOf();
  const options = ["--network=one", "--cap-add=ALL", "--security-opt=seccomp=unconfined"];
  const { stdout } = await sbxIn(world, [...options, volume, root, "sh", "-c", script]);
  return stdout.trimEnd();
}
const who = (kind: string, address: string, port = 80) =>
  `${process.execPath} /traffic.mjs who ${kind} ${address} ${port} ${soon}`;

test.needs(needs, "siblings by name and address, 50 MB between them", async () => {
  await server("one", "server");
  assert.is(await from("--network=one", "who", "tcp", "server", "80"), "fd00:5b:1::3");
  assert.is(await from("--network=one", "who", "udp", sandbox.one, "80"), "10.89.0.3");
  assert.is(await from("--network=one", "who", "tcp", "fd00:5b:1::2", "80"), "fd00:5b:1::3");
  const megabytes = `${50 * 1024 * 1024}`;
  assert.is(await from("--network=one", "echo", sandbox.one, "80", megabytes), "same");
});

test.needs(needs, "out by the host's addresses, but not from an internal network", async () => {
  await serving([...world.remote, ...trafficOf("serve", "80")]);
  assert.is(await from("--network=one", "who", "tcp", remote.ipv4, "80"), here.ipv4);
  assert.is(await from("--network=one", "who", "udp", remote.ipv4, "80"), here.ipv4);
  assert.is(await from("--network=one", "who", "tcp", remote.ipv6, "80"), here.ipv6);
  const megabytes = `${50 * 1024 * 1024}`;
  assert.is(
    await from("--network=one", "echo", remote.ipv4, "80", megabytes, triesBy("pasta")),
    "same",
  );
  assert.is(await from("--network=closed", "who", "tcp", remote.ipv4, "80"), "ENETUNREACH");
  const route = `ip route add default via 10.89.2.1; ${who("tcp", remote.ipv4)}`;
  const [volume = "", root = ""] = insideOf();
  const forced = ["--network=closed", "--cap-add=ALL", volume, root, "sh", "-c", route];
  assert.is((await sbxIn(world, forced)).stdout, "ETIMEDOUT\n");
});

test.needs(needs, "a hostile command reaches no other network, whatever it pretends", async () => {
  await server("two", "secret");
  const tries = await hostile(`
    ${who("tcp", sandbox.two)}
    ${who("tcp", sandbox.two6)}
    ip address add 10.89.1.77/24 dev eth0
    ip -6 address add ${gateway.two6.replace("::1", "::77")}/64 dev eth0 nodad
    ${who("tcp", sandbox.two)}
    ${who("tcp", sandbox.two6)}
    ip route replace ${sandbox.two}/32 via ${gateway.one} src 10.89.1.77
    ${who("tcp", sandbox.two)}
    ip route replace ${gateway.two}/32 via ${gateway.one}
    ${who("tcp", gateway.two, 53)}
    ${who("udp", gateway.two, 53)}
    ping -c1 -W1 ${gateway.two} >/dev/null 2>&1 && echo reached
  `);
  const unreached = /^(ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$/;
  const lines = tries.split("\n");
  assert.is(lines.length, 7, tries);
  for (const line of lines) assert.match(line, unreached);
});

test.needs(needs, "a spoofed source gets no answers to somebody else", async () => {
  await serving([...world.remote, ...trafficOf("serve", "80")]);
  // It would refuse what it never asked for (OutRsts).
  const [volume = "", root = ""] = insideOf();
  const refused = "sleep 5; awk '/^Tcp:/ { count = $15 } END { print count }' /proc/net/snmp";
  const victim = sbxIn(world, ["--network=two", volume, root, "sh", "-c", refused]);
  const said = await hostile(`
    sleep 1
    ip address add ${sandbox.two}/32 dev eth0
    ip route replace ${remote.ipv4}/32 via ${gateway.one} src ${sandbox.two}
    ${who("tcp", remote.ipv4)}
  `);
  assert.equal([said, (await victim).stdout], ["ETIMEDOUT", "0\n"]);
});

test.needs(needs, "the host's loopback and its abstract sockets are out of reach", async () => {
  await serving([...world.here, ...trafficOf("serve", "82")]);
  for (const address of ["127.0.0.1", here.ipv4, here.ipv6, gateway.one, "fd00:5b:1::1"]) {
    const said = await from("--network=one", "who", "tcp", address, "82", soon);
    assert.ok(/^E(CONNREFUSED|TIMEDOUT)$/.test(said), `${address}: ${said}`);
  }
  assert.is(await hostile("cat /proc/net/unix | tail -n +2 | grep -c @"), "0");
});

test.run();

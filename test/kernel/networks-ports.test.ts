/**
 * Published ports of sandboxes on networks, which have a way out of their own for these, and networks whose
 * shared way out is either helper; with real traffic, in a world of the test's own.
 */
import * as assert from "uvu/assert";
import { useNetworks } from "../support/networks.js";
import { suite } from "../support/suite.js";
import {
  here,
  insideOf,
  makeWorld,
  remote,
  said,
  sandboxOf,
  sbxIn,
  serving,
  soon,
  trafficOf,
  triesBy,
  type World,
} from "../support/world.js";

const test = suite("ports on networks");
const needs = ["unprivileged", "user namespaces", "a network world", "pasta"] as const;

useNetworks("ports", [
  { name: "one", subnet6: "fd00:5b:1::/64", gateway6: "fd00:5b:1::1" },
  { name: "closed", internal: true },
]);
const networks = ["--network=closed", "--network=one"];
const published = ["-p", "8080:80", "-p", "8080:80/udp"];
const closed = /^E(CONNREFUSED|TIMEDOUT|NETUNREACH)$/;
const megabytes = `${50 * 1024 * 1024}`;
/** To a port of pasta's, where more of it stalls: see test/kernel/uplink.test.ts. */
const fewMegabytes = `${5 * 1024 * 1024}`;

let world: World;
test.after.each(() => world.end());

/** What traffic.mjs prints in a sandbox with these options. */
async function from(options: readonly string[], ...words: string[]): Promise<string> {
  const { stdout, stderr } = await sbxIn(world, [...options, ...insideOf(...words)]);
  return `${stdout}${stderr}`.trimEnd();
}

for (const [helper, without] of [
  ["pasta", []],
  ["slirp4netns", ["pasta"]],
] as const) {
  test.needs([...needs, helper], `${helper}: seen by others and by siblings`, async () => {
    world = await makeWorld({ without });
    const words = [...networks, ...published, "--name=web", ...insideOf("serve", "80")];
    await serving([...world.here, ...sandboxOf(...words)]);
    const ask = (...rest: string[]) => said(world.remote, trafficOf(...rest));
    assert.is(await ask("who", "tcp", here.ipv4, "8080"), remote.ipv4);
    assert.is(await ask("who", "udp", here.ipv4, "8080"), remote.ipv4);
    assert.is(await ask("echo", here.ipv4, "8080", fewMegabytes, triesBy(helper)), "same");
    if (helper === "pasta") {
      assert.is(await ask("who", "tcp", here.ipv6, "8080"), remote.ipv6);
      assert.is(await ask("who", "udp", here.ipv6, "8080"), remote.ipv6);
    }
    assert.is(await from(["--network=one"], "who", "tcp", "web", "80"), "fd00:5b:1::3");
    assert.is(await from(["--network=closed"], "who", "tcp", "web", "80"), "10.89.1.3");
    assert.is(await from(["--network=one"], "who", "udp", "10.89.0.2", "80"), "10.89.0.3");
  });

  test.needs([...needs, helper], `${helper}: the way out is its own, and one`, async () => {
    world = await makeWorld({ without });
    await serving([...world.remote, ...trafficOf("serve", "80")]);
    await serving([...world.here, ...trafficOf("serve", "82")]);
    const options = [...networks, "-p", "8081:80"];
    assert.is(await from(options, "who", "tcp", remote.ipv4, "80"), here.ipv4);
    assert.is(await from(options, "who", "udp", remote.ipv4, "80"), here.ipv4);
    assert.is(await from(options, "echo", remote.ipv4, "80", megabytes, triesBy(helper)), "same");
    const gateway = helper === "pasta" ? remote.ipv4 : "10.0.2.2";
    for (const address of ["127.0.0.1", gateway]) {
      assert.match(await from(options, "who", "tcp", address, "82", soon), closed);
    }
    const script = "ip route | grep default; grep web /etc/hosts";
    const [volume = "", root = ""] = insideOf();
    const words = [...options, "--name=web", volume, root, "sh", "-c", script];
    const { stdout } = await sbxIn(world, words);
    assert.is(
      stdout,
      `default via ${gateway} dev tap0 \n10.89.1.2\tsbx web\n10.89.0.2\tsbx web\nfd00:005b:0001:0000:0000:0000:0000:0002\tsbx web\n`,
    );
  });

  test.needs([...needs, helper], `${helper}: the way out of networks`, async () => {
    world = await makeWorld({ without });
    await serving([...world.remote, ...trafficOf("serve", "80")]);
    assert.is(await from(["--network=one"], "who", "tcp", remote.ipv4, "80"), here.ipv4);
    assert.is(await from(["--network=one"], "who", "udp", remote.ipv4, "80"), here.ipv4);
    assert.is(await from(["--network=one"], "who", "tcp", remote.ipv6, "80"), here.ipv6);
    assert.is(
      await from(["--network=one"], "echo", remote.ipv4, "80", megabytes, triesBy(helper)),
      "same",
    );
    assert.is(await from(["--network=closed"], "who", "tcp", remote.ipv4, "80"), "ENETUNREACH");
    await serving([...world.here, ...trafficOf("serve", "82")]);
    const gateway = helper === "pasta" ? remote.ipv4 : "10.0.2.2";
    assert.match(await from(["--network=one"], "who", "tcp", gateway, "82", soon), closed);
  });
}

test.run();

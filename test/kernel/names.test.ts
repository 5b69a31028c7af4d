/** Names in sandboxes: their own addresses, resolvers, the host; and where their ports are from outside. */
import * as assert from "uvu/assert";
import { attempt, inside } from "../support/inside.js";
import { endSiblings, sibling, useNetworks } from "../support/networks.js";
import { sbx } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("names");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay", "tun"] as const;

useNetworks("names", [
  { name: "one" },
  { name: "two", subnet6: "fd00:5b:2::/64", gateway6: "fd00:5b:2::1" },
  { name: "tiny", internal: true },
  { name: "plain", dns: false },
]);
test.after.each(endSiblings);

for (const helper of ["pasta", "slirp4netns"] as const) {
  const all = [...needs, helper];
  const network = `--network=${helper}`;

  test.needs(
    all,
    `${helper}: the sandbox's own names lead to the address that others see`,
    async () => {
      const options = [
        network,
        "--hostname=box",
        "--name",
        `names-${helper}`,
        "--add-host=db:10.0.0.7",
      ];
      const script = "ip -o addr show scope global; echo; cat /etc/hosts";
      const [addresses = "", hosts = ""] = (await inside(options, script)).split("\n\n");
      const own = [...hosts.matchAll(/^(\S+)\tbox names-\S+$/gm)].map(([, address]) => address);
      assert.ok(own.length > 0, hosts);
      assert.not.ok(own.includes("127.0.0.1"));
      const shown = [...addresses.matchAll(/ inet6? ([^/]+)/g)].map(([, address]) => address);
      for (const address of own)
        assert.ok(shown.map(plain).includes(plain(address)), `${address} ${shown}`);
      assert.match(hosts, /^127\.0\.0\.1\tlocalhost$/m);
      assert.match(hosts, /^10\.0\.0\.7\tdb$/m);
    },
  );

  test.needs(all, `${helper}: a name that was asked for wins over the sandbox's own`, async () => {
    const options = [network, "--hostname=box", "--add-host=box:10.0.0.7"];
    assert.match(await inside(options, "ping -c 1 -w 1 box | head -n 1; true"), "(10.0.0.7)");
  });

  test.needs(all, `${helper}: resolv.conf says what it is told to`, async () => {
    const dns = ["--dns=192.0.2.53", "--dns-search=a.example", "--dns-option=ndots:3"];
    assert.is(
      await inside([network, ...dns], "cat /etc/resolv.conf"),
      "search a.example\nnameserver 192.0.2.53\noptions ndots:3\n",
    );
    assert.match(await inside([network], "cat /etc/resolv.conf"), /^nameserver \d/m);
  });

  test.needs(all, `${helper}: host-gateway is where the host's loopback answers`, async () => {
    const options = [network, "--host-loopback", "--add-host=outside:host-gateway"];
    const hosts = await inside(options, "cat /etc/hosts");
    const [, address] = /^(\S+)\toutside$/m.exec(hosts) ?? [];
    assert.ok(address);
    assert.match(hosts, `${address}\thost.containers.internal host.docker.internal`);
  });

  test.needs(all, `${helper}: with --no-hosts nothing is written anywhere`, async () => {
    const { code, stderr } = await attempt([network, "--no-hosts"], "! grep -s sbx /etc/hosts");
    assert.equal([code, stderr], [0, ""]);
  });
}

/** In the form of RFC 5952. */
function plain(address: string | undefined): string {
  return new URL(`http://${address?.includes(":") ? `[${address}]` : address}`).hostname;
}

test.needs([...needs, "pasta"], "sbx port tells the ports of a running sandbox", async () => {
  const options = ["--network=pasta", "--name=ports-told", "-p", "127.0.0.1::80", "-p", "81/udp"];
  const running = await sibling(options, "true");
  const { stdout } = await sbx(["port", "ports-told"]);
  const listed = JSON.parse((await sbx(["port", "--json", "ports-told"])).stdout);
  const [, tcp, udp] =
    /^80\/tcp -> 127\.0\.0\.1:(\d+)\n81\/udp -> 0\.0\.0\.0:(\d+)\n$/.exec(stdout) ?? [];
  assert.ok(Number(tcp) > 0, stdout);
  assert.equal(listed, [
    { hostIp: "127.0.0.1", hostPort: Number(tcp), containerPort: 80, protocol: "tcp" },
    { hostIp: "0.0.0.0", hostPort: Number(udp), containerPort: 81, protocol: "udp" },
  ]);
  assert.is((await sbx(["port", "ports-told", "81/udp"])).stdout, `0.0.0.0:${udp}\n`);
  const { code, stderr } = await sbx(["port", "ports-told", "82"]);
  assert.is(code, 125);
  assert.match(stderr, "port ports-told 82: the sandbox does not publish it. It publishes 80/tcp");
  await running.end();
  assert.match((await sbx(["port", "ports-told"])).stderr, "there is none of that name or ID");
});

test.needs(needs, "who joins another's network has its names, and asks its resolver", async () => {
  const other = await sibling(["--network=one", "--hostname=box", "--name=joined-names"], "true");
  const options = ["--network=container:joined-names", "--hostname=mate", "--add-host=db:10.0.0.7"];
  const { stdout, stderr } = await attempt(options, "cat /etc/hosts /etc/resolv.conf");
  assert.match(stdout, "\n10.89.0.2\tmate box joined-names\n");
  assert.match(stdout, "\n10.0.0.7\tdb\n");
  assert.match(stdout, "nameserver 10.89.0.1\n");
  assert.is(stderr, "");
  await other.end();
});

test.needs(
  needs,
  "ports on internal networks alone are refused, as nothing leads there",
  async () => {
    const { code, stderr } = await attempt(["--network=tiny", "-p", "8080:80"], "true");
    assert.is(code, 125);
    assert.match(stderr, /publish ports: .* internal networks only.*Add a network/);
  },
);

test.needs(
  needs,
  "on networks it has a name for each address, and the answerer to ask",
  async () => {
    const script = "cat /etc/hosts; cat /etc/resolv.conf";
    const options = ["--network=tiny", "--network=two", "--hostname=box", "--network-alias=kin"];
    const { said, end } = await sibling(options, script);
    assert.match(
      said,
      "\n10.89.2.2\tbox\n10.89.1.2\tbox\nfd00:005b:0002:0000:0000:0000:0000:0002\tbox\n",
    );
    assert.match(said, "nameserver 10.89.1.1\n");
    const shown = JSON.parse((await sbx(["network", "inspect", "two"])).stdout);
    const [there] = Object.values<{ interfaces: unknown }>(shown[0].containers);
    assert.equal(there?.interfaces, {
      eth1: {
        subnets: [
          { ipnet: "10.89.1.2/24", gateway: "10.89.1.1" },
          { ipnet: "fd00:5b:2::2/64", gateway: "fd00:5b:2::1" },
        ],
      },
    });
    assert.match((await sbx(["network", "rm", "two"])).stderr, /network rm two: \w+ is on it/);
    assert.match((await sbx(["network", "prune", "-f"])).stdout, /^(one|plain)\n(one|plain)\n$/);
    await end();
    assert.is((await sbx(["network", "rm", "two"])).stdout, "two\n");
    assert.match(
      (await attempt(["--network=two"], "true")).stderr,
      "network two: there is no such network",
    );
  },
);

test.run();

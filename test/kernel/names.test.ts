/** Names in sandboxes that have a way out: their own addresses, resolvers, the host; and their ports from outside. */
import * as assert from "uvu/assert";
import { attempt, inside } from "../support/inside.js";
import { command, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("names");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay", "tun"] as const;

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
  const script = `${command} port ports-told; ${command} port ports-told 81/udp; ${command} port ports-told 82`;
  const options = ["--network=pasta", "--name=ports-told", "-p", "127.0.0.1::80", "-p", "81/udp"];
  // The payload says that it runs, and stays until its input ends.
  const { stdout, stderr } = await start([
    "sh",
    "-c",
    `{ sleep 2; { ${script}; } >&3; } 3>&1 | ${command} run ${options.join(" ")} / cat`,
  ]);
  const [, tcp, udp, again] =
    /^80\/tcp -> 127\.0\.0\.1:(\d+)\n81\/udp -> 0\.0\.0\.0:(\d+)\n0\.0\.0\.0:(\d+)\n$/.exec(
      stdout,
    ) ?? [];
  assert.ok(Number(tcp) > 0, stdout);
  assert.is(again, udp);
  assert.match(stderr, /port ports-told 82: the sandbox does not publish it/);
});

test.run();

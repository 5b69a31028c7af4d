import * as assert from "uvu/assert";
import { specFromFlags } from "../../cmd/flags.js";
import { parseRun } from "../../cmd/parse.js";
import { allPorts, portsAt } from "../../cmd/port.js";
import { suite } from "../support/suite.js";

const test = suite("cmd/network-flags");

const places = { absolute: (path: string) => path, volumes: "/volumes" };

function spec(...argv: string[]) {
  const { flags, rootfs, command } = parseRun([...argv, "/"]);
  const findDisk = () => ({ major: 8, minor: 0 });
  return specFromFlags(flags, rootfs, command, { readFile: () => null, places, findDisk });
}
const network = (...argv: string[]) => spec(...argv).sbx.network;
const from = (...argv: string[]) => network(...argv)?.from;
const ports = (...argv: string[]) => network("--network=auto", ...argv)?.ports;

test("modes", () => {
  assert.equal(from("--network=none"), { mode: "none" });
  assert.equal(from("--net", "private"), { mode: "auto" });
  assert.equal(from("--network=pasta", "--network=pasta"), { mode: "pasta" });
  assert.equal(from("--network=container:web"), { mode: "sandbox", sandbox: "web" });
  assert.equal(from("--network=ns:/run/netns/a:b"), { mode: "path", path: "/run/netns/a:b" });
  const shared = spec("--network=host");
  assert.not(shared.linux.namespaces.some(({ type }) => type === "network"));
  assert.equal(shared.sbx.network, { from: { mode: "host" } });
});

test("networks by name, each with what it is given", () => {
  assert.equal(
    from(
      "--network=lab:ip=10.89.0.7,ip=fd00::7,mac=02:42:AC:11:00:02,alias=db,alias=sql",
      "--network=other",
      "--network-alias=db",
      "--network-alias=store",
    ),
    {
      mode: "networks",
      networks: [
        {
          name: "lab",
          ip: "10.89.0.7",
          ip6: "fd00::7",
          mac: "02:42:ac:11:00:02",
          aliases: ["db", "sql", "store"],
        },
        { name: "other", aliases: ["db", "store"] },
      ],
    },
  );
  assert.equal(from("--network=lab", "--ip=10.89.0.7", "--ip6=fd00::7"), {
    mode: "networks",
    networks: [{ name: "lab", ip: "10.89.0.7", ip6: "fd00::7" }],
  });
});

test("published ports", () => {
  const tcp = { protocol: "tcp" };
  assert.equal(ports("-p", "8080:80"), [{ ...tcp, hostPort: 8080, containerPort: 80 }]);
  assert.equal(ports("-p80", "-p:81/udp", "-p", "127.0.0.1::82"), [
    { ...tcp, containerPort: 80 },
    { protocol: "udp", containerPort: 81 },
    { ...tcp, hostIp: "127.0.0.1", containerPort: 82 },
  ]);
  assert.equal(ports("-p", "[::1]:8080-8081:80-81/udp"), [
    { protocol: "udp", hostIp: "::1", hostPort: 8080, containerPort: 80 },
    { protocol: "udp", hostIp: "::1", hostPort: 8081, containerPort: 81 },
  ]);
  assert.is(ports("-p", "1-65535:1-65535")?.length, 65535);
});

test("-P publishes what is exposed, and not already published", () => {
  assert.equal(ports("-P", "-p", "8080:80", "--expose=80-81", "--expose=80/udp"), [
    { protocol: "tcp", hostPort: 8080, containerPort: 80 },
    { protocol: "tcp", containerPort: 81 },
    { protocol: "udp", containerPort: 80 },
  ]);
  assert.is(ports("--expose=80"), undefined);
});

test("resolv.conf and hosts", () => {
  const argv = ["--dns=9.9.9.9", "--dns=fd00::53", "--dns-search=.", "--dns-option=ndots:2"];
  assert.equal(network("--network=auto", ...argv)?.dns, {
    servers: ["9.9.9.9", "fd00::53"],
    searches: ["."],
    options: ["ndots:2"],
  });
  assert.equal(spec("--network=auto", "--add-host=me:host-gateway").sbx.etcFiles?.addHosts, [
    { address: "host-gateway", name: "me" },
  ]);
});

const refused: readonly (readonly [string[], RegExp])[] = [
  [["--network=none", "--network=lab"], /--network none: cannot be given together.* lab/],
  [["--network=host", "--network=pasta"], /cannot be given together/],
  [["--network=lab", "--network=lab:ip=10.0.0.1"], /lab is given twice/],
  [["--network=bridge"], /sbx network create/],
  [["--network=pasta:--map-gw"], /pasta takes no options/],
  [["--network=container:"], /names no sandbox/],
  [["--network=ns:lab"], /must name an absolute path/],
  [["--network=a,b"], /no network's name/],
  [["--network=lab:"], /an empty option/],
  [["--network=lab:ip=10.0.0"], /must be an IPv4 address/],
  [["--network=lab:mac=01:00:00:00:00:00"], /six bytes, of one interface/],
  [["--network=lab:mode=x"], /is none of ip=/],
  [["--ip=10.0.0.1"], /none is named/],
  [["--network=auto", "--network-alias=x"], /none is named/],
  [["--network=a", "--network=b", "--ip=10.0.0.1"], /which of the 2 networks/],
  [["--network=a", "--ip=fd00::1"], /must be an IPv4 address/],
  [["-p", "80:"], /"" is no port/],
  [["-p", "0:80"], /"0" is no port/],
  [["-p", "70000"], /no port from 1 to 65535/],
  [["-p", "9-8:1-2"], /ends before it begins/],
  [["-p", "1-2:5"], /2 of the host's ports cannot be forwarded to 1/],
  [["-p", "80/sctp"], /only tcp and udp/],
  [["-p", "80/tcp/udp"], /only tcp and udp/],
  [["-p", "::1:8080:80"], /stands in brackets/],
  [["-p", "127.0.0.1:80"], /names no port of the host's/],
  [["-p", "[::1]:80"], /names no port of the host's/],
  [["-p", "[1.2.3.4:80:80"], /no IP address/],
  [["-p", "[fe80::1%eth0]:80:80"], /no IP address/],
  [["-p", "[::1]:1.2.3.4:80:80"], /is not understood/],
  [["-p", "host:80:80"], /"host" is no IP address/],
  [["-P"], /no port is exposed/],
  [["--network=none", "-p", "80"], /ports: cannot be forwarded: .*only|loopback/],
  [["--network=host", "-p", "80:80"], /the network is the host's own/],
  [["--network=container:x", "-p", "80:80"], /Give it to that sandbox/],
  [
    ["--network=auto", "-p", "80:80", "-p", "127.0.0.1:80:81"],
    /--publish: takes the host's port 80/,
  ],
  [["--network=auto", "-p", "[::]:80:80", "-p", "[0::1]:80:81"], /--publish: takes/],
  [["--network=auto", "-p", "80", "-p", "80"], /--publish: says again/],
  [["--network=none", "--host-loopback"], /--host-loopback: is not to be had/],
  [["--network=lab", "--host-loopback"], /share one way out/],
  [["--network=none", "--dns=9.9.9.9"], /dns: is of no use/],
  [["--network=none", "--add-host=x:host-gateway"], /no address is known to reach the host/],
  [["--dns=dns.example"], /IP address of a name server/],
  [["--dns-search=a\nnameserver 6.6.6.6"], /must be one word/],
  [["--dns-option="], /must not be empty/],
  [["--name=a/b"], /is no name/],
];
for (const [argv, pattern] of refused) {
  test(`refuses ${argv.join(" ")}`, () => assert.throws(() => network(...argv), pattern));
}

test("what differs by protocol, kind of address or address does not collide", () => {
  assert.is(ports("-p", "80:80", "-p", "80:80/udp")?.length, 2);
  assert.is(ports("-p", "0.0.0.0:80:80", "-p", "[::]:80:81")?.length, 2);
  assert.is(ports("-p", "127.0.0.1:80:80", "-p", "127.0.0.2:80:81")?.length, 2);
});

test("sbx port tells where ports are reached", () => {
  const running = [
    { hostPort: 8080, containerPort: 80, protocol: "tcp" },
    { hostPort: 8081, containerPort: 81, protocol: "tcp" },
    { hostPort: 53, containerPort: 80, protocol: "udp", hostIp: "::1" },
  ] as const;
  assert.is(
    allPorts(running),
    "80/tcp -> 0.0.0.0:8080\n81/tcp -> 0.0.0.0:8081\n80/udp -> [::1]:53\n",
  );
  const at = (wanted: string) => portsAt(running, "web", wanted).map(({ hostPort }) => hostPort);
  assert.equal(at("81"), [8081]);
  assert.equal(at("80/udp"), [53]);
  assert.throws(() => portsAt(running, "web", "443"), /does not publish it.*80\/tcp -> 0\.0\.0\.0/);
  assert.throws(() => portsAt([], "web", "443"), /It publishes none/);
  assert.throws(() => portsAt(running, "web", "80-81"), /asks for a range/);
});

test.run();

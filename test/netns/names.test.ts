import * as assert from "uvu/assert";
import { planNames } from "../../netns/names.js";
import type { UplinkHelper } from "../../spec/actions/uplink.js";
import { defaultSpec } from "../../spec/default.js";
import type { Host } from "../../spec/host.js";
import type { Network, NetworkKeys, NetworkMode } from "../../spec/network.js";
import { hostOf } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const test = suite("netns/names");

const base = defaultSpec("/srv/debian");
const { etc, uplinks } = hostOf();

function names(
  keys: Partial<NetworkKeys> | NetworkMode["mode"],
  helper: UplinkHelper | null,
  overrides: Partial<Host> = {},
  addHosts: { address: string; name: string }[] = [],
) {
  const asked = typeof keys === "string" ? { from: { mode: keys } as NetworkMode } : keys;
  const network = { from: { mode: "auto" }, ...asked } as NetworkKeys;
  const etcFiles = { hosts: true, addHosts };
  const namespaces = base.linux.namespaces.filter(
    ({ type }) => type !== "network" || network.from.mode !== "host",
  );
  const spec = {
    ...base,
    linux: { ...base.linux, namespaces },
    sbx: { ...base.sbx, network, etcFiles },
  };
  return planNames(spec, hostOf(overrides), helper);
}
const resolv = (text: string, behind = "") => ({
  etc: { ...etc, resolvConf: text, resolvConfBehindStub: behind },
});
const routes = (ipv4: string | null) => ({
  uplinks: { ...uplinks, routes: { ipv4, ipv6: true } },
});

const stub = "# systemd\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch corp.example\n";
const upstream = "nameserver 192.0.2.7\nnameserver fe80::1%eth0\n";

test("without a network there is no name server, with the host's there is its file", () => {
  assert.not.match(names("none", null).resolvConf, /^nameserver/m);
  assert.is(names("host", null, resolv(stub)).resolvConf, stub);
  assert.is(
    names({ from: { mode: "host" }, dns: { servers: ["9.9.9.9"] } }, null, resolv(stub)).resolvConf,
    "search corp.example\nnameserver 9.9.9.9\noptions edns0 trust-ad\n",
  );
});

test("pasta reaches what the host's file names, but for the host's own loopback", () => {
  const direct = "nameserver 192.0.2.53\nnameserver 2001:db8::53\n";
  assert.is(names("pasta", "pasta", resolv(direct)).resolvConf, direct);
  for (const text of [stub, "nameserver ::1\nsearch corp.example\noptions edns0 trust-ad\n"]) {
    assert.is(
      names("pasta", "pasta", resolv(text, upstream)).resolvConf,
      "search corp.example\nnameserver 169.254.1.1\noptions edns0 trust-ad\n",
    );
  }
  assert.match(names("pasta", "pasta", resolv("nameserver fe80::1%eth0\n")).resolvConf, /169\.254/);
});

test("without IPv4 the forwarder has no address: what is behind the stub is asked", () => {
  const host = { ...resolv(stub, upstream), ...routes(null) };
  assert.match(names("pasta", "pasta", host).resolvConf, /^nameserver 192\.0\.2\.7$/m);
});

test("a resolver at the gateway's address is not the host's loopback that is there instead", () => {
  const host = { ...resolv("nameserver 192.0.2.1\n"), ...routes("192.0.2.1") };
  assert.is(names("pasta", "pasta", host).resolvConf, "nameserver 192.0.2.1\n");
  const open = { from: { mode: "pasta" }, hostLoopback: true } as const;
  assert.is(names(open, "pasta", host).resolvConf, "nameserver 169.254.1.1\n");
});

test("slirp4netns has a resolver of its own; a namespace of somebody's reaches real ones", () => {
  assert.match(names("auto", "slirp4netns", resolv(stub)).resolvConf, /^nameserver 10\.0\.2\.3$/m);
  const path = { from: { mode: "path", path: "/run/netns/x" } } as const;
  assert.match(names(path, null, resolv(stub, upstream)).resolvConf, /^nameserver 192\.0\.2\.7$/m);
  assert.match(names(path, null, resolv("nameserver 192.0.2.53\n")).resolvConf, /2\.53/);
});

test("--dns, --dns-search and --dns-option each take the place of what the host has", () => {
  const of = (dns: NonNullable<NetworkKeys["dns"]>) =>
    names({ dns }, "pasta", resolv(stub)).resolvConf;
  assert.is(
    of({ servers: ["9.9.9.9", "fd00::53"], searches: ["."], options: ["ndots:2", "rotate"] }),
    "nameserver 9.9.9.9\nnameserver fd00::53\noptions ndots:2 rotate\n",
  );
  assert.is(
    of({ searches: ["a.example", "b.example"] }),
    "search a.example b.example\nnameserver 169.254.1.1\noptions edns0 trust-ad\n",
  );
});

const lab: Network = {
  name: "lab",
  bridge: "sbxe00000001",
  subnet: "10.89.1.0/24",
  gateway: "10.89.1.1",
  subnet6: "fd12::/64",
  gateway6: "fd12::1",
  internal: false,
  createdMs: 0,
};
const quiet: Network = {
  ...lab,
  name: "quiet",
  gateway: "10.89.2.1",
  gateway6: "fd13::1",
  internal: true,
};

test("on networks the answerer is asked, first where there is a way out", () => {
  const on = (networks: Network[], keys: Partial<NetworkKeys> = {}) =>
    names(
      { from: { mode: "networks", networks: networks.map(({ name }) => ({ name })) }, ...keys },
      "pasta",
      { networks, ...resolv(stub) },
    );
  assert.match(on([lab]).resolvConf, /^nameserver 10\.89\.1\.1$/m);
  assert.match(on([quiet, lab]).resolvConf, /^nameserver 10\.89\.1\.1$/m);
  assert.match(on([quiet]).resolvConf, /^nameserver 10\.89\.2\.1$/m);
  assert.match(on([{ ...lab, dns: false }]).resolvConf, /^nameserver 169\.254\.1\.1$/m);
  assert.not.match(on([{ ...quiet, dns: false }]).resolvConf, /^nameserver/m);
  assert.match(on([lab], { dns: { servers: ["9.9.9.9"] } }).resolvConf, /^nameserver 9\.9\.9\.9$/m);
  assert.equal(on([quiet, lab]).towards, ["10.89.2.1", "fd13::1", "10.89.1.1", "fd12::1"]);
  assert.not.match(on([quiet]).hosts.join("\n"), /host\.containers\.internal/);
});

const asked = [{ address: "host-gateway", name: "me" }];
/** pasta as Debian 12 has it. */
const old = {
  uplinks: { ...uplinks, pasta: { path: "/usr/bin/pasta", options: [] } },
};

test("the host is where its helper has it", () => {
  const lines = (...given: Parameters<typeof names>) => names(...given).hosts.slice(2);
  assert.equal(lines("pasta", "pasta", {}, asked), [
    "169.254.1.2\tme",
    "169.254.1.2\thost.containers.internal host.docker.internal",
  ]);
  const open = { hostLoopback: true };
  assert.is(lines(open, "slirp4netns", {}, asked)[0], "10.0.2.2\tme");
  assert.is(lines(open, "pasta", old, asked)[0], "192.0.2.1\tme");
  assert.is(names("host", null, {}, asked).hosts.at(-1), "127.0.0.1\tme");
});

test("where nothing reaches the host, asking for it is an error, and nothing else", () => {
  const refusals: [Parameters<typeof names>[0], UplinkHelper | null, RegExp][] = [
    ["auto", null, /no way to the host/],
    ["auto", "slirp4netns", /loopback alone.*--host-loopback/],
    ["auto", "pasta", /before 2024-08.*--host-loopback/],
  ];
  for (const [keys, helper, pattern] of refusals) {
    assert.throws(() => names(keys, helper, old, asked), pattern);
    assert.equal(names(keys, helper, old).hosts.length, 2);
  }
});

test.run();

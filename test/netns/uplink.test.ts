import * as assert from "uvu/assert";
import { pingGroups, planUplink, type UplinkIds } from "../../netns/uplink.js";
import type { UplinkPiece } from "../../spec/actions/uplink.js";
import { defaultSpec } from "../../spec/default.js";
import { describe } from "../../spec/describe.js";
import type { Host, PastaOption, UplinkFacts } from "../../spec/host.js";
import type { NetworkKeys } from "../../spec/network.js";
import type { Spec } from "../../spec/spec.js";
import { closedSpec, failureOf, hostOf, rootHost } from "../support/fixture.js";
import { suite } from "../support/suite.js";

const test = suite("netns/uplink");

const ids: UplinkIds = { rootMapped: true };
const spec = (network: NetworkKeys): Spec => {
  const base = defaultSpec("/srv/debian");
  return { ...base, sbx: { ...base.sbx, network } };
};
/** With the pasta of Debian 12. */
const host = (uplinks: Partial<UplinkFacts>) => {
  const pasta = { path: "/usr/bin/pasta", options: [] };
  return hostOf({ uplinks: { ...hostOf().uplinks, pasta, ...uplinks } });
};
const oldHost = host({});

/** A plan's helper with its words, pieces that are known at run time only in braces. */
function started(network: NetworkKeys, on: Host = oldHost, more: Partial<UplinkIds> = {}) {
  const { start } = planUplink(spec(network), on, { ...ids, ...more });
  const action = start.at(-1)?.action;
  if (action?.kind !== "startUplink") return null;
  const text = (pieces: readonly UplinkPiece[]) =>
    pieces.map((piece) => (typeof piece === "string" ? piece : `{${piece.kind}}`)).join("");
  return { ...action, words: action.words.map(text), requests: action.requests.map(text) };
}
const wordsOf = (...of: Parameters<typeof started>) => (started(...of)?.words ?? []).join(" ");
const auto: NetworkKeys = { from: { mode: "auto" } };
const pasta: NetworkKeys = { from: { mode: "pasta" } };
const slirp: NetworkKeys = { from: { mode: "slirp4netns" } };

test("auto takes pasta, then slirp4netns, then none with a word on it", () => {
  assert.is(started(auto)?.helper, "pasta");
  const second = planUplink(spec(auto), host({ pasta: null }), ids);
  assert.is(second.start.map(({ action }) => describe(action)).at(-1), "start slirp4netns");
  assert.match(second.notes.join("\n"), "pasta was not found");
  const neither = planUplink(spec(auto), host({ pasta: null, slirp4netns: null }), ids);
  assert.equal([neither.start, neither.wait, neither.warnings.length], [[], [], 1]);
  assert.match(neither.warnings[0] ?? "", /^there is no network: pasta was .*Install passt/);
  const [closed] = planUplink(spec(auto), host({ tun: false }), ids).warnings;
  assert.match(
    closed ?? "",
    /tun cannot be opened; .*\. Make \/dev\/net\/tun open .*--network=none/,
  );
});

test("nothing is connected where nothing is asked for", () => {
  for (const mode of ["none", "host"] as const) {
    const { helper, start, warnings } = planUplink(spec({ from: { mode } }), hostOf(), ids);
    assert.equal([helper, start, warnings], [null, [], []]);
  }
  assert.equal(planUplink(closedSpec("/srv/debian"), hostOf(), ids).start, []);
});

test("a helper that was asked for and cannot be had is an error", () => {
  const refused = (...of: Parameters<typeof started>) => failureOf(() => started(...of));
  assert.match(refused(pasta, host({ pasta: null })), "pasta was not found");
  assert.match(refused(pasta, host({ routes: { ipv4: null, ipv6: false } })), "a default route");
  assert.match(refused(slirp, host({ tun: false })), "modprobe tun");
  assert.match(refused(slirp, hostOf(), { rootMapped: false }), "as root inside");
  const ports = [{ protocol: "tcp" as const, hostIp: "::1", containerPort: 80 }];
  assert.match(refused({ ...slirp, ports }), /no IPv6 ports, and a free port of ::1, tcp is one/);
  const without = host({ pasta: null, slirp4netns: null });
  assert.match(refused({ ...auto, ports }, without), /publish ports: .*Install passt/);
  const shared = spec(slirp);
  shared.linux.namespaces = shared.linux.namespaces.filter(({ type }) => type !== "pid");
  assert.match(
    failureOf(() => planUplink(shared, hostOf(), ids)),
    "shares the host's pids",
  );
});

test("pasta: what leads to the host's loopback is closed, in the words of each version", () => {
  const knowing = (...options: PastaOption[]) =>
    host({ pasta: { path: "/usr/bin/pasta", options } });
  assert.match(wordsOf(pasta), "--no-map-gw --tcp-ports none --udp-ports none");
  assert.match(wordsOf(pasta), /--tcp-ns none --udp-ns none \{target\}$/);
  assert.not.match(wordsOf({ ...pasta, hostLoopback: true }), "map-gw");
  const newer = knowing("map-guest-addr", "host-lo-to-ns-lo");
  assert.match(wordsOf(pasta, newer), "--map-host-loopback none --map-guest-addr 169.254.1.2");
  assert.match(
    wordsOf({ ...pasta, hostLoopback: true }, newer),
    "--map-host-loopback 169.254.1.2 --map-guest-addr none",
  );
  assert.not.match(wordsOf(pasta), "--runas");
  assert.match(wordsOf(pasta, rootHost()), "--runas 0:0");
});

const ports: NonNullable<NetworkKeys["ports"]> = [
  { protocol: "tcp", hostPort: 8080, containerPort: 80 },
  { protocol: "tcp", hostPort: 8081, containerPort: 81 },
  { protocol: "tcp", hostIp: "fd00::1", hostPort: 8443, containerPort: 443 },
  { protocol: "udp", hostIp: "127.0.0.1", containerPort: 53 },
];

test("pasta: ports, consecutive ones as a range", () => {
  assert.match(
    wordsOf({ ...pasta, ports }),
    "--tcp-ports 8080-8081:80-81 --tcp-ports fd00::1/8443:443 --udp-ports 127.0.0.1/{hostPort}:53",
  );
  const { reserve, notes } = planUplink(spec({ ...pasta, ports }), oldHost, ids);
  assert.equal(
    reserve.map(({ action }) => describe(action)),
    [
      "publish port 8080-8081/tcp",
      "publish port [fd00::1]:8443/tcp",
      "publish a free port of 127.0.0.1, udp",
    ],
  );
  assert.match(notes.join("\n"), "come from that of the sandbox");
});

test("on networks there is a way out of the sandbox's own where it publishes ports, and only then", () => {
  const from: NetworkKeys["from"] = { mode: "networks", networks: [{ name: "lab" }] };
  const on = (internal: boolean) => {
    const addresses = { subnet: "10.89.0.0/24", gateway: "10.89.0.1" };
    const lab = { name: "lab", bridge: "sbxe00000000", ...addresses, internal, createdMs: 0 };
    return { ...oldHost, networks: [lab] };
  };
  assert.equal([started({ from }, on(false)), started({ from }, on(true))], [null, null]);
  assert.match(wordsOf({ from, ports }, on(false)), "--ns-ifname tap0");
  const second = { ...on(false), uplinks: { ...oldHost.uplinks, pasta: null } };
  assert.is(started({ from, ports: ports.slice(0, 1) }, second)?.helper, "slirp4netns");
  const refused = failureOf(() => started({ from, ports }, on(true)));
  assert.match(refused, "the sandbox is on internal networks only");
});

test("slirp4netns: confined, and asked for each port", () => {
  const { words, requests } =
    started({ ...slirp, ports: ports.filter(({ hostIp }) => hostIp !== "fd00::1") }) ?? {};
  assert.equal(words, [
    "--configure",
    "--mtu=65520",
    "--enable-sandbox",
    "--enable-seccomp",
    "--disable-host-loopback",
    "--ready-fd=0",
    "--exit-fd={starterFd}",
    "--api-socket=/proc/{target}/root/sys/slirp4netns",
    "{target}",
    "tap0",
  ]);
  const forward = (protocol: string, address: string, from: string, to: number) =>
    `{"execute":"add_hostfwd","arguments":{"proto":"${protocol}","host_addr":"${address}","host_port":${from},"guest_port":${to}}}`;
  assert.equal(requests, [
    forward("tcp", "0.0.0.0", "8080", 80),
    forward("tcp", "0.0.0.0", "8081", 81),
    forward("udp", "127.0.0.1", "{hostPort}", 53),
  ]);
  const open = wordsOf(
    { ...slirp, hostLoopback: true },
    host({ routes: { ipv4: null, ipv6: true } }),
  );
  assert.not.match(open, "--disable-host-loopback");
  assert.match(open, "--enable-ipv6");
});

test("pings are for all groups inside, in the host's order and in the sandbox's", () => {
  const line = (containerID: number, hostID: number, size: number) => ({
    containerID,
    hostID,
    size,
  });
  assert.is(pingGroups([line(0, 1000, 1)]), "0 0");
  assert.is(pingGroups([line(0, 1000, 1), line(1, 100000, 65536)]), "0 65536");
  // As --userns=keep-id maps them: the caller's own group is the host's lowest.
  const kept = [line(0, 100000, 1000), line(1000, 1000, 1), line(1001, 101000, 64536)];
  assert.is(pingGroups(kept), "1000 65536");
  // The caller's group is above its subordinate ones.
  assert.is(pingGroups([line(0, 300000, 1), line(1, 100000, 65536)]), "1 65536");
  assert.is(pingGroups([]), "1 0");
});

test.run();

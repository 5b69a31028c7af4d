import { execFile, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import * as assert from "uvu/assert";
import { choose } from "../../cmd/network-create.js";
import { overlap, readSubnet, type Subnet } from "../../netns/subnet.js";
import type { Network } from "../../spec/network.js";
import { suite } from "../support/suite.js";

const test = suite("cmd/network");

const main = resolve(import.meta.dirname, "../../dist/sbx.cjs");
let data = "";
const environment = () => ({ ...process.env, XDG_DATA_HOME: data });
test.before.each(() => {
  data = mkdtempSync(join(tmpdir(), "sbx-networks-"));
});
test.after.each(() => rmSync(data, { recursive: true }));

/** Runs `sbx network` with these words; gives what it printed, and its status. */
function network(...argv: string[]) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [main, "network", ...argv], {
    encoding: "utf8",
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  return { stdout, stderr, status };
}
const inspect = (...names: string[]) => JSON.parse(network("inspect", ...names).stdout);

test("a network is made, listed, shown and removed", () => {
  assert.equal(network("create", "lab"), { stdout: "lab\n", stderr: "", status: 0 });
  assert.match(network("create", "lab").stderr, /there is one of that name/);
  const argv = ["--internal", "--label=team=a", "--disable-dns", "--ip-range=10.7.0.64/26"];
  network("create", "quiet", "--subnet=10.7.0.0/24", "--gateway=10.7.0.9", "--ipv6", ...argv);
  assert.is(network("ls", "-q").stdout, "lab\nquiet\n");
  assert.match(network("ls").stdout, /^NAME .*\nlab +10\.\d+\.\d+\.0\/24 +yes +0\nquiet +10\.7/);
  const [quiet] = inspect("quiet");
  assert.match(quiet.network_interface, /^sbxi[0-9a-f]{8}$/);
  assert.equal(quiet.subnets[0], {
    subnet: "10.7.0.0/24",
    gateway: "10.7.0.9",
    ip_range: "10.7.0.64/26",
  });
  assert.match(quiet.subnets[1].gateway, /^fd[0-9a-f:]+::1$/);
  const { ipv6_enabled, internal, dns_enabled, labels, containers } = quiet;
  assert.equal([ipv6_enabled, internal, dns_enabled], [true, true, false]);
  assert.equal([labels, containers], [{ team: "a" }, {}]);
  assert.match(inspect("lab")[0].network_interface, /^sbxe/);
  assert.is(network("rm", "quiet").stdout, "quiet\n");
  assert.is(network("prune", "--force").stdout, "lab\n");
  assert.is(network("ls", "-q").stdout, "");
});

test("of several names each is tried", () => {
  network("create", "one");
  network("create", "two");
  const shown = network("inspect", "one", "absent", "two");
  assert.equal([JSON.parse(shown.stdout).length, shown.status], [2, 1]);
  assert.match(shown.stderr, /network absent: there is no such network.*one, two/);
  const removed = network("rm", "nope", "one", "two");
  assert.equal([removed.stdout, removed.status], ["one\ntwo\n", 1]);
  assert.equal(network("rm", "--force", "one"), { stdout: "", stderr: "", status: 0 });
});

test("twenty at once get addresses of their own, and leave nothing else behind", async () => {
  const run = promisify(execFile);
  const names = Array.from({ length: 20 }, (_, index) => `n${index}`);
  await Promise.all(
    names.map((name) =>
      run(process.execPath, [main, "network", "create", name], { env: environment() }),
    ),
  );
  const all = inspect(...names);
  const subnets = all.map((each: { subnets: { subnet: string }[] }) =>
    readSubnet(each.subnets[0]?.subnet ?? ""),
  ) as Subnet[];
  for (const [index, one] of subnets.entries()) {
    assert.not(subnets.slice(0, index).some((other) => overlap(one, other)));
  }
  assert.equal(
    readdirSync(join(data, "sbx/networks")).sort(),
    [".lock", ...names.map((name) => `${name}.json`)].sort(),
  );
});

test("what is not there, or is not as sbx wrote it, is told", () => {
  assert.match(network("create", "host").stderr, /is no network's name/);
  assert.match(network("prune").stderr, /nobody is there to be asked/);
  assert.match(network().stderr, /no command is given/);
  assert.match(network("inspct").stderr, /Did you mean inspect/);
  assert.match(network("rm").stderr, /the form is sbx network rm NAME/);
  network("create", "lab");
  const file = join(data, "sbx/networks/lab.json");
  writeFileSync(file, "{");
  assert.match(network("ls").stderr, /lab\.json: it is no JSON/);
  writeFileSync(file, '{"name":"lab"}');
  assert.match(network("ls").stderr, /lab\.json: bridge is missing/);
  assert.is(network("rm", "lab").status, 1);
  rmSync(file);
  network("create", "lab");
  copyFileSync(file, join(data, "sbx/networks/other.json"));
  assert.match(network("ls").stderr, /other\.json: it is of lab\. Remove the file/);
  rmSync(file);
  rmSync(join(data, "sbx/networks/other.json"));
  spawnSync("mkfifo", [file]);
  assert.match(network("ls").stderr, /lab\.json: it is no JSON/);
});

const others: Network[] = [
  {
    name: "lab",
    bridge: "sbxe00000000",
    subnet: "10.89.0.0/24",
    gateway: "10.89.0.1",
    internal: false,
    createdMs: 0,
  },
];
const routed = [{ family: 4, first: 0xc0000200n, prefix: 24 }] as const;

test("subnets that are somebody's are refused, and why", () => {
  const refusals: readonly (readonly [Parameters<typeof choose>[0], RegExp])[] = [
    [{ subnet: ["10.89.0.128/25"] }, /the network lab has 10\.89\.0\.0\/24.*Leave --subnet out/],
    [{ subnet: ["192.0.0.0/16"] }, /this machine has a route to 192\.0\.2\.0\/24/],
    [{ subnet: ["127.1.0.0/16"] }, /127\.0\.0\.0\/8 has a meaning of its own/],
    [{ subnet: ["10.0.2.0/24"] }, /has a meaning of its own/],
    [{ subnet: ["10.7.0.1/24"] }, /Did you mean 10\.7\.0\.0\/24/],
    [{ subnet: ["10.7.0.0/31"] }, /no room/],
    [{ subnet: ["10.7.0.0"] }, /must be ADDRESS\/PREFIX/],
    [{ subnet: ["10.7.0.0/24", "10.8.0.0/24"] }, /given twice for one kind/],
    [{ gateway: ["10.7.0.1"] }, /no address for a machine in/],
    [{ subnet: ["10.7.0.0/24"], gateway: ["10.7.0.255"] }, /no address for a machine in/],
    [{ gateway: ["fd00::1"] }, /the network has no IPv6 addresses/],
    [{ subnet: ["10.7.0.0/24"], "ip-range": "10.8.0.0/25" }, /no part of 10\.7\.0\.0\/24/],
    [{ label: ["=x"] }, /must be KEY=VALUE/],
  ];
  for (const [flags, pattern] of refusals) {
    assert.throws(() => choose(flags, others, routed), pattern, JSON.stringify(flags));
  }
});

test("what is not named is chosen", () => {
  const chosen = choose({ subnet: ["fd12:3456::/64"] }, others, routed);
  assert.match(chosen.subnet, /^10\.\d+\.\d+\.0\/24$/);
  assert.is(chosen.gateway, chosen.subnet.replace("0/24", "1"));
  assert.equal([chosen.subnet6, chosen.gateway6], ["fd12:3456::/64", "fd12:3456::1"]);
  assert.is(chosen.internal, false);
});

test.run();

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import {
  defaultGateway,
  hasDefaultRoute6,
  readUplinks,
} from "../../../launch/facts/uplink-facts.js";
import { temporaryDirectory } from "../../support/inside.js";
import { suite } from "../../support/suite.js";

const test = suite("launch/uplink-facts");

const route = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n";
const here = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";

test("the gateway of the default route", () => {
  const gateway = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
  assert.is(defaultGateway(`${route}${here}${gateway}`), "192.0.2.1");
  assert.is(
    defaultGateway(`${route}tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\n`),
    "0.0.0.0",
  );
  assert.is(defaultGateway(`${route}${here}`), null);
  // What many VPNs have beside it.
  assert.is(defaultGateway(`${route}tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\n`), null);
  assert.is(defaultGateway(""), null);
});

test("a default route of IPv6 is none that rejects", () => {
  const line = (flags: string, device: string) =>
    `${"0".repeat(32)} 00 ${"0".repeat(32)} 00 ${"0".repeat(32)} ffffffff 00000001 00000000 ${flags}     ${device}\n`;
  assert.is(hasDefaultRoute6(line("00200200", "lo")), false);
  assert.is(hasDefaultRoute6(line("00200200", "lo") + line("00000003", "eth0")), true);
  assert.is(hasDefaultRoute6(line("00000003", "eth0").replace(" 00 ", " 40 ")), false);
  assert.is(hasDefaultRoute6(""), false);
});

test("helpers are found in PATH, and what pasta knows in its file", () => {
  const top = temporaryDirectory("uplinks");
  const [bin, net] = [join(top, "bin"), join(top, "proc/net")];
  for (const made of [bin, net]) mkdirSync(made, { recursive: true });
  const files = {
    etc: join(top, "etc"),
    proc: join(top, "proc"),
    bin: [],
    resolved: join(top, "resolved"),
  };
  assert.equal(readUplinks({ PATH: bin }, files).pasta, null);
  const usage = "\0  --map-guest-addr ADDR\tTranslate\0--config-net";
  writeFileSync(join(bin, "pasta"), usage, { mode: 0o755 });
  writeFileSync(join(bin, "slirp4netns"), "", { mode: 0o755 });
  writeFileSync(join(net, "route"), route + here);
  const { pasta, slirp4netns, ipv6, routes } = readUplinks({ PATH: bin }, files);
  assert.equal(pasta, { path: join(bin, "pasta"), options: ["map-guest-addr"] });
  assert.equal(slirp4netns, { path: join(bin, "slirp4netns") });
  assert.equal([ipv6, routes], [false, { ipv4: null, ipv6: false }]);
});

test.run();

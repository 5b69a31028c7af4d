import fc from "fast-check";
import * as assert from "uvu/assert";
import {
  addressNumber,
  addressText,
  contains,
  freeSubnet,
  isHostAddress,
  neverFree,
  overlap,
  randomSubnet6,
  readSubnet,
  routedSubnets,
  type Subnet,
  sizeOf,
  subnetText,
} from "../../netns/subnet.js";
import { suite } from "../support/suite.js";

const test = suite("netns/subnet");

const subnet = (text: string): Subnet => {
  const read = readSubnet(text);
  assert.ok(read, text);
  return read as Subnet;
};

test("reads what RFC 4632 writes, and clears the bits after the prefix", () => {
  assert.equal(subnet("10.89.1.0/24"), { family: 4, first: 0x0a590100n, prefix: 24 });
  assert.is(subnetText(subnet("10.89.1.77/24")), "10.89.1.0/24");
  assert.is(subnetText(subnet("fd00:0:0:1::5/64")), "fd00:0:0:1::/64");
  assert.is(subnetText(subnet("0.0.0.0/0")), "0.0.0.0/0");
  assert.is(sizeOf(subnet("::/0")), 1n << 128n);
  for (const wrong of ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "fe80::%eth0/64"]) {
    assert.is(readSubnet(wrong), null, wrong);
  }
});

test("text and number of an address are each other's inverse", () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 128n - 1n), (number) => {
      assert.is(addressNumber(addressText(number, 6)), number);
      const low = number & 0xffffffffn;
      assert.is(addressNumber(addressText(low, 4)), low);
    }),
  );
});

test("overlap and containment", () => {
  const cases = [
    ["10.0.0.0/8", "10.89.0.0/24", true, true],
    ["10.89.0.0/24", "10.0.0.0/8", true, false],
    ["10.89.0.0/24", "10.89.1.0/24", false, false],
    ["10.89.0.0/24", "::/0", false, false],
    ["fd00::/64", "fd00::1/128", true, true],
  ] as const;
  for (const [one, other, meet, inside] of cases) {
    assert.is(overlap(subnet(one), subnet(other)), meet, `${one} ${other}`);
    assert.is(overlap(subnet(other), subnet(one)), meet);
    assert.is(contains(subnet(one), subnet(other)), inside, `${one} ${other}`);
  }
});

test("neither the first nor the broadcast address is a machine's", () => {
  const within = subnet("10.89.0.0/30");
  const hosts = ["10.89.0.0", "10.89.0.1", "10.89.0.2", "10.89.0.3", "10.89.0.4", "fd00::1"];
  assert.equal(
    hosts.filter((address) => isHostAddress(within, address)),
    ["10.89.0.1", "10.89.0.2"],
  );
  assert.ok(isHostAddress(subnet("fd00::/126"), "fd00::3"));
  assert.not(isHostAddress(subnet("fd00::/126"), "fd00::"));
});

test("a subnet that is free meets none that is taken, down to the last", () => {
  const zero = () => 0;
  assert.is(subnetText(freeSubnet([], zero) as Subnet), "10.89.0.0/24");
  assert.is(subnetText(freeSubnet([subnet("10.89.0.128/32")], zero) as Subnet), "10.89.1.0/24");
  assert.is(subnetText(freeSubnet([], (below) => below - 1) as Subnet), "10.255.255.0/24");
  // Beyond the end it goes on at the beginning.
  const last = [subnet("10.255.255.0/24")];
  assert.is(subnetText(freeSubnet(last, (below) => below - 1) as Subnet), "10.89.0.0/24");
  const all10 = subnet("10.0.0.0/8");
  assert.is(subnetText(freeSubnet([all10], zero) as Subnet), "172.16.0.0/24");
  const all = [all10, subnet("172.16.0.0/12"), subnet("192.168.0.0/17")];
  assert.is(subnetText(freeSubnet(all, zero) as Subnet), "192.168.128.0/24");
  assert.is(freeSubnet([...all, subnet("192.168.0.0/16")], zero), null);
  assert.not(neverFree().some((each) => overlap(each, subnet("10.89.0.0/16"))));
});

test("IPv6 addresses are for local use", () => {
  assert.is(subnetText(randomSubnet6(() => 0)), "fd00::/64");
  assert.is(subnetText(randomSubnet6((below) => below - 1)), "fdff:ffff:ffff::/64");
});

test("routes of the host, as the kernel lists them", () => {
  const route = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
tun0	0000000A	00000000	0001	0	0	0	000000FF	0	0	0
wg0	0102030A	00000000	0005	0	0	0	FFFFFFFF	0	0	0
`;
  const route6 = `fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
`;
  assert.equal(routedSubnets(route, route6).map(subnetText), [
    "192.0.2.0/24",
    "10.0.0.0/8",
    "10.3.2.1/32",
    "fd00::/64",
  ]);
  assert.equal(routedSubnets("", ""), []);
});

test.run();

/**
 * Messages byte for byte, the expected ones being what ip(8) of iproute2 6.1 sends: seen by strace, the
 * sequence number and the order of the attributes of a link left out.
 */
import * as assert from "uvu/assert";
import {
  addAddress,
  addBridge,
  addDefaultRoute,
  addLinkName,
  addVeth,
  attribute,
  batch,
  deleteLink,
  hole,
  linkAlias,
  linkUp,
  type Message,
  message,
  text,
  u8,
  u32,
} from "../../netns/netlink.js";
import { suite } from "../support/suite.js";

const test = suite("netlink messages");

const hex = ({ bytes }: Message) => Buffer.from(bytes).toString("hex");
const mac = (last: number) => u8(2, 0x53, 10, 89, 0, last);
const index = u32(2);
const mtu = u32(65520);
const header = (size: string, type: string, flags: string) =>
  `${size}000000${type}${flags}${"0".repeat(16)}`;

test("ip link set dev 2 up", () => {
  assert.is(hex(linkUp(index)), `${header("20", "1000", "0500")}00000000020000000100000001000000`);
});

test("ip link add name sbxe1 address … mtu 65520 type bridge mcast_snooping 0", () => {
  assert.is(
    hex(addBridge({ name: text("sbxe1"), mac: mac(1), mtu })),
    `${header("5c", "1000", "0506")}${"0".repeat(32)}` +
      "0a0001000253 0a590001 0000 08000400f0ff0000 0a00030073627865 31000000".replaceAll(" ", "") +
      "1c0012000a000100627269646765000 00c00020005001700 00000000".replaceAll(" ", ""),
  );
});

test("ip link add name v1 mtu 65520 up master 2 type veth peer name eth0 address … netns PID", () => {
  const port = { name: text("v1"), mac: mac(9), mtu, master: index };
  const peer = { name: text("eth0"), mac: mac(2), mtu, namespace: u32(7) };
  assert.is(
    hex(addVeth(port, peer)),
    [
      header("90", "1000", "0506"),
      "00000000000000000100000001000000",
      "0a00010002530a5900090000",
      "08000400f0ff0000",
      "0700030076310000",
      "08000a0002000000",
      "4c0012000800010076657468400002003c000100",
      "0".repeat(32),
      "0a00010002530a5900020000",
      "08000400f0ff0000",
      "090003006574683000000000",
      "08001c0007000000",
    ].join(""),
  );
});

test("ip link set dev 2 alias hello", () => {
  assert.is(
    hex(linkAlias(index, text("hello").slice(0, 5))),
    `${header("2c", "1000", "0500")}00000000020000000000000000000000090014006865 6c6c6f000000`.replaceAll(
      " ",
      "",
    ),
  );
});

test("ip link property add dev 2 altname afd00005b; ip link delete dev 2", () => {
  assert.is(
    hex(addLinkName(index, text("afd00005b"))),
    `${header("34", "6c00", "050e")}00000000020000000000000000000000` +
      "140034800e00350061666430303030356200" +
      "0000",
  );
  assert.is(
    hex(deleteLink(index)),
    `${header("20", "1100", "0500")}00000000020000000000000000000000`,
  );
});

test("addresses have the family of their size; IPv6 ones are used without a question", () => {
  assert.is(
    hex(addAddress(index, u8(10, 89, 0, 1), 24)),
    `${header("20", "1400", "0506")}0218000002000000080002000a590001`,
  );
  const six = Buffer.from("fd00005b000000000000000000000001", "hex");
  assert.is(
    hex(addAddress(index, six, 64)),
    `${header("2c", "1400", "0506")}0a4002000200000014000200${six.toString("hex")}`,
  );
});

test("ip route add default via 10.89.0.254 dev 2", () => {
  assert.is(
    hex(addDefaultRoute(index, u8(10, 89, 0, 254))),
    `${header("2c", "1800", "0506")}02000000fe03000100000000080005000a5900fe0800040002000000`,
  );
});

test("holes are zeros of their size, and known by where they begin", () => {
  const { bytes, holes } = addAddress(hole("index", 4), hole("address", 16), 64);
  assert.equal(holes, { index: 20, address: 28 });
  assert.is(bytes[16], 10);
  assert.ok(bytes.slice(28).every((byte) => byte === 0));
  const twice = () => message(1, 0, hole("a", 4), hole("a", 4));
  assert.throws(twice, "two holes are named a");
  assert.throws(() => batch([linkUp(hole("index", 4))]), "a batch has no holes");
  assert.throws(() => attribute(1, new Uint8Array(65532)), "a netlink attribute of 65536 bytes");
});

test.run();

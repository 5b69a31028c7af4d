/** Addresses of resolvers in bytes. */
import * as assert from "uvu/assert";
import { bytes6, socketAddress } from "../../netns/dns.js";
import { suite } from "../support/suite.js";

const test = suite("dns");
const hex = (bytes: Iterable<number>): string => Buffer.from([...bytes]).toString("hex");

test("IPv6 addresses, however they are written", () => {
  for (const [text, bytes] of [
    ["::", "0".repeat(32)],
    ["::1", `${"0".repeat(31)}1`],
    ["fd00::", `fd00${"0".repeat(28)}`],
    ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
    ["FE80::abcd:0:12", "fe80000000000000" + "0000" + "abcd" + "0000" + "0012"],
    ["::ffff:192.0.2.1", "00000000000000000000ffffc0000201"],
  ] as const) {
    assert.is(hex(bytes6(text)), bytes, text);
  }
});

test("struct sockaddr_in and sockaddr_in6, port 53", () => {
  assert.is(hex(socketAddress("192.0.2.1")), `02000035c0000201${"0".repeat(48)}`);
  const six = `0a00003500000000${"20010db8"}${"0".repeat(22)}53${"0".repeat(16)}`;
  assert.is(hex(socketAddress("2001:db8::53")), six);
});

test.run();

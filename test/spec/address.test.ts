import * as assert from "uvu/assert";
import { addressBytes, kindOf } from "../../spec/address.js";
import { suite } from "../support/suite.js";

const test = suite("spec/address");

/** As a row of hexadecimal digits. */
const hex = (address: string) => Buffer.from(addressBytes(address)).toString("hex");

test("IPv4 and IPv6 addresses as the kernel has them", () => {
  assert.is(hex("192.0.2.255"), "c00002ff");
  assert.is(hex("::"), "0".repeat(32));
  assert.is(hex("::1"), `${"0".repeat(31)}1`);
  assert.is(hex("fd00:1:2::a"), `fd0000010002${"0".repeat(16)}000a`);
  assert.is(hex("2001:db8:1:2:3:4:5:6"), "20010db8000100020003000400050006");
  assert.is(hex("::ffff:192.0.2.1"), `${"0".repeat(20)}ffffc0000201`);
  assert.is(hex("1::"), `0001${"0".repeat(28)}`);
  assert.is(hex("fe80::1%eth0"), `fe80${"0".repeat(24)}0001`);
  assert.equal(["127.0.0.1", "::ffff:127.0.0.1"].map(kindOf), ["ipv4", "ipv6"]);
});

test.run();

import * as assert from "uvu/assert";
import { encodeCall } from "../../cgroup/dbus.js";
import { suite } from "../support/suite.js";

const test = suite("cgroup/dbus");

const hex = (words: string) => words.replace(/\s+/g, "");

// What busctl(1) of systemd 252 wrote to the user's bus, as strace(1) showed it.
test("a call without arguments, as busctl writes it", () => {
  const hello = {
    serial: 1,
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
    signature: "",
    arguments: [],
  };
  assert.is(
    Buffer.from(encodeCall(hello)).toString("hex"),
    hex(`6c01000100000000010000006d000000
      01016f00150000002f6f72672f667265656465736b746f702f44427573000000
      030173000500000048656c6c6f000000
      02017300140000006f72672e667265656465736b746f702e4442757300000000
      06017300140000006f72672e667265656465736b746f702e4442757300000000`),
  );
});

test("StartTransientUnit, as busctl writes it, but for the flag that lets it ask for a password", () => {
  const text = (name: string, value: string) => [name, { signature: "s", value }] as const;
  const start = {
    serial: 2,
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "StartTransientUnit",
    signature: "ssa(sv)a(sa(sv))",
    arguments: [
      "sbx-0123456789ab.scope",
      "fail",
      [
        text("Description", "sbx sandbox"),
        text("Slice", "user.slice"),
        ["Delegate", { signature: "b", value: true }],
        text("CollectMode", "inactive-or-failed"),
        ["PIDs", { signature: "au", value: [0x12b] }],
      ],
      [],
    ],
  };
  assert.is(
    Buffer.from(encodeCall(start)).toString("hex"),
    hex(`6c010001e000000002000000b6000000
      01016f00190000002f6f72672f667265656465736b746f702f73797374656d643100000000000000
      030173001200000053746172745472616e7369656e74556e6974000000000000
      02017300200000006f72672e667265656465736b746f702e73797374656d64312e4d616e616765720000000000000000
      06017300180000006f72672e667265656465736b746f702e73797374656d64310000000000000000
      080167001073736128737629612873612873762929000000
      160000007362782d3031323334353637383961622e73636f70650000
      040000006661696c00000000 a800000000000000
      0b0000004465736372697074696f6e00017300000b0000007362782073616e64626f780000000000
      05000000536c69636500017300000000 0a000000757365722e736c6963650000
      0800000044656c65676174650001620001000000 00000000
      0b000000436f6c6c6563744d6f64650001730000 12000000696e6163746976652d6f722d6661696c6564000000000000
      040000005049447300026175000000000400 00002b010000 0000000000000000`),
  );
});

test("what is no number of that size is refused", () => {
  const call = { serial: 1, destination: "a", path: "/", interface: "a", member: "b" };
  const encode = (value: number) =>
    encodeCall({ ...call, signature: "u", arguments: [value] }).slice(-4);
  assert.equal([...encode(0xfffffffe)], [0xfe, 0xff, 0xff, 0xff]);
  assert.throws(() => encode(2 ** 32), "4294967296 is no number of 4 bytes");
  assert.throws(() => encode(-1), "-1 is no number of 4 bytes");
  assert.throws(() => encode(0.5), "0.5 is no number of 4 bytes");
});

test.run();

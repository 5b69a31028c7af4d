/** The verifier's rules for single ops and data: programs that break one, beside sound ones. */
import * as assert from "uvu/assert";
import { constant, slot } from "../../../launch/machine/builder.js";
import type { Address, Program } from "../../../launch/machine/ir.js";
import { verify } from "../../../launch/machine/verify.js";
import { suite } from "../../support/suite.js";
import { program, verifying } from "../programs.js";

const test = suite("verify");
const { sound, broken } = verifying(test);

const a = slot("a");
const b = slot("b");
const nowhere: Address = { kind: "address", of: "nowhere", offset: 0 };

sound("labels", (p) => {
  p.jump("there");
  p.label("there");
  p.exit(0);
});
broken(
  "two labels of one name",
  (p) => {
    p.label("here");
    p.label("here");
    p.exit(0);
  },
  'op 0 "here:": the label here is defined more than once',
  'op 1 "here:": the label here is defined more than once',
);
broken(
  "a jump, a branch, a call and an error to no label",
  (p) => {
    p.branch(1, "eq", 1, "x");
    p.call("y");
    p.orElse("z", "getpid", []);
    p.jump("w");
  },
  'op 0 "if 1 == 1 goto x": the label x is not defined',
  'op 1 "call y": the label y is not defined',
  'op 2 "getpid()   → z": the label z is not defined',
  'op 3 "goto w": the label w is not defined',
);

sound("an ignored error", (p) => {
  p.ignore("it may be gone", "close", [3]);
  p.exit(0);
});
broken(
  "an error ignored without a reason",
  (p) => {
    p.ignore(" ", "close", [3]);
    p.exit(0);
  },
  'op 0 "close(3)   ! ignored:  ": an error is ignored without a reason',
);
broken(
  "a system call that only one architecture has, or none",
  (p) => {
    p.ignore("a test", "open", [0, 0]);
    p.ignore("a test", "toString", []);
    p.exit(0);
  },
  'op 0 "open(0, 0)   ! ignored: a test": x86_64 has no system call of that name',
  'op 0 "open(0, 0)   ! ignored: a test": aarch64 has no system call of that name',
  'op 1 "toString()   ! ignored: a test": x86_64 has no system call of that name',
  'op 1 "toString()   ! ignored: a test": aarch64 has no system call of that name',
);
broken(
  "seven arguments",
  (p) => {
    p.ignore("a test", "mmap", [1, 2, 3, 4, 5, 6, 7]);
    p.exit(0);
  },
  'op 0 "mmap(1, 2, 3, 4, 5, 6, 7)   ! ignored: a test": a system call has six arguments at most',
);
test("calls that return and those that do not: refused", () => {
  const never = { kind: "never" } as const;
  const call = { kind: "syscall", arguments: [], result: null, onError: never } as const;
  const exit = { ...call, name: "exit_group" };
  const only = (ops: Program["ops"]) => verify({ ops, data: [] });
  assert.equal(only([exit]), []);
  assert.equal(only([{ ...call, name: "getpid" }]), [
    'op 0 "getpid()": exit_group, and no other call, never returns',
  ]);
  assert.equal(only([{ ...exit, onError: { kind: "ignore", because: "x" } }, exit]), [
    'op 0 "exit_group()   ! ignored: x": exit_group, and no other call, never returns',
  ]);
  assert.equal(only([{ ...exit, result: a }]), [
    'op 0 "a = exit_group()": a call that never returns has no result',
  ]);
  const result = { kind: "result" } as const;
  assert.equal(only([{ ...call, name: "getpid", onError: result }, exit]), [
    'op 0 "getpid()   → result": errors go to the result, and there is none',
  ]);
});

sound("addresses within their data, and right behind it", (p) => {
  const buffer = p.buffer("buffer", 12);
  p.set(a, { ...buffer, offset: 12 });
  p.store(4, buffer, 8, 1);
  p.store(8, p.words("words", [{ ...buffer, offset: 12 }], true), 0, 1);
  p.load(1, b, p.text("x"), 1);
  p.exit(0);
});
broken(
  "addresses of nothing",
  (p) => {
    p.set(a, nowhere);
    p.load(1, a, nowhere);
    p.ignore("a test", "close", [nowhere]);
    p.words("words", [nowhere], false);
    p.exit(0);
  },
  "data words: no data item is named nowhere",
  'op 0 "a = &nowhere": no data item is named nowhere',
  'op 1 "a = byte[&nowhere]": no data item is named nowhere',
  'op 2 "close(&nowhere)   ! ignored: a test": no data item is named nowhere',
);
broken(
  "addresses, loads and stores outside of their data",
  (p) => {
    const buffer = p.buffer("buffer", 12);
    p.set(a, { ...buffer, offset: 13 });
    p.set(a, { ...buffer, offset: -1 });
    p.load(8, a, buffer, 5);
    p.store(4, { ...buffer, offset: 4 }, -5, 0);
    p.exit(0);
  },
  'op 0 "a = &buffer + 13": buffer has 12 bytes, and 13 is outside of them',
  'op 1 "a = &buffer - 1": buffer has 12 bytes, and -1 is outside of them',
  'op 2 "a = int64[&buffer + 5]": bytes 5 to 12 are not all in buffer',
  'op 3 "int32[&buffer + 4 - 5] = 0": bytes -1 to 2 are not all in buffer',
);
broken(
  "stores to what is read-only",
  (p) => {
    p.store(1, p.text("x"), 0, 0);
    p.store(8, p.words("words", [1], false), 0, 0);
    p.exit(0);
  },
  'op 0 "byte["x"] = 0": text0 is read-only',
  'op 1 "int64[&words] = 0": words is read-only',
);
test("data of one name, and of no size: refused", () => {
  const { ops } = program((p) => p.exit(0));
  const buffer = { kind: "buffer", name: "x", size: 8 } as const;
  assert.equal(verify({ ops, data: [buffer, { ...buffer, name: "y" }] }), []);
  assert.equal(verify({ ops, data: [buffer, buffer] }), ["data x: the name is taken"]);
  assert.equal(verify({ ops, data: [{ ...buffer, size: 0 }] }), [
    "data x: 0 is not a size in bytes",
  ]);
  assert.equal(verify({ ops, data: [{ ...buffer, size: 1.5 }] }), [
    "data x: 1.5 is not a size in bytes",
  ]);
});

sound("numbers at their limits", (p) => {
  p.set(a, Number.MIN_SAFE_INTEGER);
  p.set(a, constant("MAX", (1n << 64n) - 1n));
  p.set(a, constant("MIN", -(1n << 63n)));
  p.load(1, a, a, 2 ** 31 - 1);
  p.alu("shl", a, a, 0);
  p.alu("shr", a, a, constant("63", 63));
  p.alu("div", a, a, -1);
  p.exit(0);
});
broken(
  "numbers beyond their limits",
  (p) => {
    p.set(a, 2 ** 53);
    p.set(a, 0.5);
    p.set(a, constant("HUGE", 1n << 64n));
    p.set(a, constant("TINY", -(1n << 63n) - 1n));
    p.load(1, a, a, 2 ** 31);
    p.words("words", [Number.NaN], false);
    p.exit(0);
  },
  "data words: NaN is not a safe integer",
  'op 0 "a = 9007199254740992": 9007199254740992 is not a safe integer',
  'op 1 "a = 0.5": 0.5 is not a safe integer',
  'op 2 "a = HUGE": HUGE does not fit 64 bits',
  'op 3 "a = TINY": TINY does not fit 64 bits',
  'op 4 "a = byte[a + 2147483648]": the offset 2147483648 does not fit 32 bits',
);
broken(
  "shifts too far, and divisions by zero",
  (p) => {
    p.alu("shl", a, 1, 64);
    p.alu("shr", a, 1, constant("MINUS", -1));
    p.alu("div", a, 1, 0);
    p.alu("rem", a, 1, constant("ZERO", 0));
    p.exit(0);
  },
  'op 0 "a = 1 << 64": a shift by 64 is not one by 0 to 63',
  'op 1 "a = 1 >>> MINUS": a shift by -1 is not one by 0 to 63',
  'op 2 "a = 1 / 0": division by 0',
  'op 3 "a = 1 % ZERO": division by 0',
);

test.run();

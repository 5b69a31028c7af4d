/** What `explain --stage=program` prints. */
import * as assert from "uvu/assert";
import { listing } from "../../launch/listing.js";
import { builder, constant, slot } from "../../launch/machine/builder.js";
import { suite } from "../support/suite.js";

const test = suite("listing");

test("every op is one readable line", () => {
  const b = builder();
  const [pid, p, status] = [slot("pid"), slot("p"), slot("status")];
  const tmp = b.text("/tmp");
  const request = b.buffer("request", 64);
  b.comment("a sandbox");
  b.failTo("fail");
  b.stackPointer(p);
  b.set(pid, constant("AT_FDCWD", -100));
  for (const operator of ["add", "sub", "and", "or", "shl", "shr", "div", "rem"] as const) {
    b.alu(operator, pid, pid, 8);
  }
  b.load(1, p, p, 8);
  b.load(4, p, request, 4);
  b.store(8, p, -16, { ...request, offset: 8 });
  b.label("again");
  for (const condition of ["eq", "ne", "lt", "ge", "le", "gt"] as const) {
    b.branch(pid, condition, -1, "again");
  }
  b.jump("again");
  b.call("sub");
  b.return();
  const flags = constant("MS_NOSUID|MS_NODEV", 6);
  b.must("mount", [b.text("tmpfs"), tmp, b.text("tmpfs"), flags, { ...tmp, offset: 1 }]);
  b.orElse("retry", "wait4", [pid, request, 0, 0], pid);
  b.attempt("kill", [pid, 0], status);
  b.ignore("it may be gone", "kill", [pid, 9]);
  b.exit(status);
  assert.is(
    listing(b.finish()),
    `  # a sandbox
  p = initial stack pointer
  pid = AT_FDCWD
  pid = pid + 8
  pid = pid - 8
  pid = pid & 8
  pid = pid | 8
  pid = pid << 8
  pid = pid >>> 8
  pid = pid / 8
  pid = pid % 8
  p = byte[p + 8]
  p = int32[&request + 4]
  int64[p - 16] = &request + 8
again:
  if pid == -1 goto again
  if pid != -1 goto again
  if pid < -1 goto again
  if pid >= -1 goto again
  if pid <= -1 goto again
  if pid > -1 goto again
  goto again
  call sub
  return
  mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID|MS_NODEV, &text0 + 1)   → fail
  pid = wait4(pid, &request, 0, 0)   → retry
  status = kill(pid, 0)   → result
  kill(pid, 9)   ! ignored: it may be gone
  exit_group(status)
`,
  );
});

test("strings are quoted, escaped and cut; other bytes go by their name", () => {
  const shown = (bytes: Uint8Array) => {
    const b = builder();
    b.set(slot("a"), b.bytes("blob", bytes));
    return listing(b.finish());
  };
  const encode = (text: string) => new TextEncoder().encode(text);
  assert.is(
    shown(encode('a "b" \\ \n\r\t\x1b é\0')),
    '  a = "a \\"b\\" \\\\ \\n\\r\\t\\x1b \\xc3\\xa9"\n',
  );
  assert.is(shown(encode("\0")), '  a = ""\n');
  assert.is(shown(encode(`${"x".repeat(60)}\0`)), `  a = "${"x".repeat(60)}"\n`);
  assert.is(shown(encode(`${"x".repeat(61)}\0`)), `  a = "${"x".repeat(60)}"…\n`);
  assert.is(shown(encode("no end")), "  a = &blob.1\n");
  assert.is(shown(encode("two\0ends\0")), "  a = &blob.1\n");
  assert.is(shown(new Uint8Array(0)), "  a = &blob.1\n");
});

test("a remark of several lines stays behind its sign", () => {
  assert.is(
    listing({ ops: [{ kind: "comment", text: "one\ntwo" }], data: [] }),
    "  # one\n  # two\n",
  );
});

test.run();

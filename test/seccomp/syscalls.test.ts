/** The lists of system calls, against other tables of them. */
import koffi from "koffi";
import * as assert from "uvu/assert";
import {
  architectures,
  auditArch,
  type SeccompArchitecture,
  x32Bit,
} from "../../seccomp/architecture.js";
import { isSyscallName, syscallName, syscallNumber, tableOf } from "../../seccomp/syscalls.js";
import { syscallNumbers } from "../../spec/linux.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp/syscalls");

test("gives the numbers of syscalls(2) and of the kernel's tables", () => {
  const numbers = (name: string) => architectures.map((arch) => syscallNumber(arch, name));
  assert.equal(numbers("read"), [0, 3, x32Bit, 63, 3]);
  assert.equal(numbers("rt_sigaction"), [13, 174, x32Bit + 512, 134, 174]);
  assert.equal(numbers("clone3"), [435, 435, x32Bit + 435, 435, 435]);
  assert.equal(numbers("socketcall"), [null, 102, null, null, null]);
  assert.equal(numbers("set_tls"), [null, null, null, null, 0xf0005]);
  assert.equal(numbers("s390_pci_mmio_read"), [null, null, null, null, null]);
  assert.equal(syscallName("x32", x32Bit + 512), "rt_sigaction");
  assert.is(syscallName("x32", 512), null);
  assert.is(syscallName("x86_64", 512), null);
  assert.is(syscallName("x86_64", -1), null);
});

test("has each number once, in order, but for the two names of arm's 341", () => {
  for (const arch of architectures) {
    const entries = [...tableOf(arch)];
    assert.ok(entries.length >= 328, arch);
    const others = entries.filter(([name, number]) => syscallName(arch, number) !== name);
    assert.equal(others, arch === "arm" ? [["sync_file_range2", 341]] : []);
    const numbers = entries.map(([, number]) => number);
    assert.equal(
      numbers,
      numbers.toSorted((a, b) => a - b),
    );
    assert.ok(numbers.every((number) => number >= x32Bit === (arch === "x32")));
  }
});

test("has what programs are compiled from", () => {
  for (const [arch, numbers] of Object.entries(syscallNumbers)) {
    for (const [name, number] of Object.entries(numbers)) {
      assert.is(syscallNumber(arch as "x86_64" | "aarch64", name), number, name);
    }
  }
});

test("knows the names of other architectures, and what is none", () => {
  const names = ["read", "socketcall", "recv", "cacheflush", "swapcontext", "riscv_hwprobe"];
  assert.equal(names.filter(isSyscallName), names);
  const none = ["", "0", "512", "Read", "no_such_call", "syscalls", "Linux", "reserved82"];
  assert.equal(none.filter(isSyscallName), []);
});

/** libseccomp's number for a name, by the architecture's token; negative where it has none. */
function libseccomp(): ((arch: SeccompArchitecture, name: string) => number) | string {
  try {
    const library = koffi.load("libseccomp.so.2");
    const resolve = library.func("int seccomp_syscall_resolve_name_arch(uint32_t, const char *)");
    // SCMP_ARCH_X32 is EM_X86_64 and little-endian, without the 64-bit flag.
    return (arch, name) => resolve(arch === "x32" ? 0x4000003e : auditArch[arch], name);
  } catch (error) {
    return (error as Error).message;
  }
}

const resolve = libseccomp();
if (typeof resolve === "string") test.skip("agrees with libseccomp", resolve);
else {
  test("agrees with libseccomp", () => {
    for (const arch of architectures) {
      const known = [...tableOf(arch)].filter(([name]) => resolve(arch, name) >= 0);
      assert.ok(known.length >= 300, `${arch}: ${known.length}`);
      for (const [name, number] of known) assert.is(resolve(arch, name), number, `${arch} ${name}`);
    }
  });
}

test.run();

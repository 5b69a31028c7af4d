/** What the generator finds when it checks the lists against headers (syscall-headers.ts reads them). */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.js";

const test = suite("seccomp/generate-syscalls");

const generator = fileURLToPath(new URL("../../seccomp/generate-syscalls.ts", import.meta.url));

function check(headers: string): { stdout: string; stderr: string; status: number | null } {
  const args = ["--import", "tsx", generator, "--check", "--headers", headers];
  return spawnSync(process.execPath, args, { encoding: "utf8" });
}

const found = ["lib/linux/uapi", "arm-linux-gnueabihf/include/asm"].some((path) =>
  fs.existsSync(join("/usr", path)),
);

if (!found) {
  test.skip("the lists are what the headers give", "linux-libc-dev-armhf-cross is not installed");
} else {
  test("the lists are what the headers give", () => {
    const { stderr, status } = check("/usr");
    assert.is(stderr, "");
    assert.is(status, 0);
  });
}

/** The shortest headers of all architectures, as Debian 12 has them, and what the test adds. */
const headers = {
  "include/x86_64-linux-gnu/asm/unistd.h": "#define __X32_SYSCALL_BIT\t0x40000000\n",
  "include/x86_64-linux-gnu/asm/unistd_64.h": "#define __NR_read 0\n",
  "include/x86_64-linux-gnu/asm/unistd_32.h": "#define __NR_read 3\n",
  "include/x86_64-linux-gnu/asm/unistd_x32.h": "#define __NR_read (__X32_SYSCALL_BIT + 0)\n",
  "include/asm-generic/unistd.h": `#ifdef __ARCH_WANT_SYNC_FILE_RANGE2
#define __NR_sync_file_range2 84
#else
#define __NR_sync_file_range 84
#endif
#define __NR_arch_specific_syscall 244
#if defined(__SYSCALL_COMPAT) || __BITS_PER_LONG == 32
#define __NR_clock_gettime64 403
#endif
#define __NR3264_fcntl 25
#if __BITS_PER_LONG == 64 && !defined(__SYSCALL_COMPAT)
#define __NR_fcntl __NR3264_fcntl
#else
#define __NR_fcntl64 __NR3264_fcntl
#endif
`,
  "arm-linux-gnueabihf/include/asm/unistd-eabi.h": "#define __NR_read (__NR_SYSCALL_BASE + 3)\n",
  "arm-linux-gnueabihf/include/asm/unistd.h": `#if defined(__thumb__) || defined(__ARM_EABI__)
#define __NR_SYSCALL_BASE	0
#else
#define __NR_SYSCALL_BASE	0x900000
#endif
#define __ARM_NR_BASE			(__NR_SYSCALL_BASE+0x0f0000)
#define __ARM_NR_set_tls		(__ARM_NR_BASE+5)
`,
} as const;

/** Checks against the headers above with lines added to some of them. */
function checkWith(added: Partial<Record<keyof typeof headers, string>>) {
  const directory = fs.mkdtempSync(join(tmpdir(), "sbx-headers-"));
  try {
    for (const [path, text] of Object.entries(headers)) {
      fs.mkdirSync(dirname(join(directory, path)), { recursive: true });
      fs.writeFileSync(join(directory, path), text + (added[path as keyof typeof headers] ?? ""));
    }
    return check(directory);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

test("older headers do not contradict", () => {
  const { stdout, stderr, status } = checkWith({});
  assert.equal([stdout, stderr, status], ["", "", 0]);
});

test("what newer headers add is noted", () => {
  const { stdout, stderr, status } = checkWith({
    "include/x86_64-linux-gnu/asm/unistd_64.h":
      "#define __NR_brand_new 9000\n#define __NR_in_a_gap 400\n",
  });
  assert.is(stderr, "");
  assert.is(stdout, "not listed: x86_64 brand_new 9000\nnot listed: x86_64 in_a_gap 400\n");
  assert.is(status, 0);
});

test("another number for a name, or another name for a number, is an error", () => {
  const { stdout, stderr, status } = checkWith({
    "include/x86_64-linux-gnu/asm/unistd_x32.h": "#define __NR_write (__X32_SYSCALL_BIT + 7)\n",
    "arm-linux-gnueabihf/include/asm/unistd.h": "#define __ARM_NR_renamed (__ARM_NR_BASE+2)\n",
  });
  assert.is(stdout, "");
  assert.match(stderr, "x32 write 1073741831, listed as 1073741825; ");
  assert.match(stderr, "arm renamed 983042, listed as cacheflush. Run seccomp/renew.sh");
  assert.is(status, 1);
});

test("headers that are not there are an error", () => {
  const { stderr, status } = check("/nonexistent");
  assert.match(stderr, "read the kernel's headers for x86_64 below /nonexistent: there are none");
  assert.is(status, 1);
});

test.run();

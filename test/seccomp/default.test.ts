/** The vendored profile, and the names that it and others' profiles have. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { architectures } from "../../seccomp/architecture.js";
import { defaultProfile } from "../../seccomp/default.js";
import { isSyscallName, syscallNumber } from "../../seccomp/syscalls.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp/default");

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const text = (path: string) => readFileSync(file(path), "utf8");

test("is the file that its page tells of, with its licence", () => {
  const [, sha256] = /^- SHA-256: ([0-9a-f]{64})$/m.exec(text("../../seccomp/default.md")) ?? [];
  const json = text("../../seccomp/default.json");
  assert.is(createHash("sha256").update(json).digest("hex"), sha256);
  assert.equal(defaultProfile, JSON.parse(json));
  assert.match(text("../../seccomp/default.LICENSE"), /Apache License\s+Version 2\.0/);
});

test("ships with its licence", () => {
  const { files } = JSON.parse(text("../../package.json"));
  for (const name of ["default.md", "default.LICENSE"])
    assert.ok(files.includes(`seccomp/${name}`));
});

interface Names {
  readonly syscalls: readonly { readonly name?: string; readonly names?: readonly string[] }[];
}

/** The names that no architecture here has. */
function foreignNames({ syscalls }: Names): string[] {
  const names = syscalls.flatMap(({ name, names: several }) => several ?? [name ?? ""]);
  assert.ok(names.length > 300);
  const isForeign = (name: string) =>
    architectures.every((arch) => syscallNumber(arch, name) === null);
  return [...new Set(names.filter(isForeign))].sort();
}

const s390 = ["s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr"];
const foreign = {
  "../../seccomp/default.json": ["riscv_flush_icache", "riscv_hwprobe", ...s390, "swapcontext"],
  "profiles/moby-20.10.24.json": s390,
  "profiles/moby-old-format.json": [],
  "profiles/containers-common-0.50.1.json": [...s390, "swapcontext", "syscall", "timerfd"],
};

test("every name in known profiles is a system call somewhere", () => {
  for (const [path, names] of Object.entries(foreign)) {
    assert.equal(foreignNames(JSON.parse(text(path))), names, path);
    assert.ok(names.every(isSyscallName), path);
  }
});

test.needs("shellcheck", "the script that renews it passes shellcheck", () => {
  const { stdout, status } = spawnSync("shellcheck", [file("../../seccomp/renew.sh")], {
    encoding: "utf8",
  });
  assert.is(stdout, "");
  assert.is(status, 0);
});

test.run();

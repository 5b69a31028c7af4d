import * as assert from "uvu/assert";
import { defaultMounts, defaultNamespaces, defaultSpec } from "../../spec/default.js";
import { validate } from "../../spec/validate.js";
import { suite } from "../support/suite.js";

const test = suite("spec/default");

test("is valid as it stands, and made anew each time", () => {
  assert.equal(validate(defaultSpec("/srv/debian")), defaultSpec("/srv/debian"));
  defaultSpec("/").linux.maskedPaths?.pop();
  assert.is(defaultSpec("/").linux.maskedPaths?.length, 12);
});

test("survives being written as JSON", () => {
  const spec = defaultSpec("./rootfs");
  assert.equal(validate(JSON.parse(JSON.stringify(spec))), spec);
});

test("isolates in every namespace but time and leaves the user to the plan", () => {
  const spec = defaultSpec("/");
  assert.equal(
    spec.linux.namespaces.map(({ type }) => type),
    ["user", "mount", "pid", "network", "ipc", "uts", "cgroup"],
  );
  assert.is(spec.process.user, undefined);
  assert.is(spec.process.capabilities, undefined);
  assert.is(spec.process.noNewPrivileges, true);
});

test("mounts nothing that the payload could run or make devices on, but for /dev itself", () => {
  for (const { destination, options } of defaultSpec("/").mounts) {
    assert.ok(options?.includes("nosuid"), destination);
    if (destination !== "/dev") assert.ok(options?.includes("noexec"), destination);
  }
  const sys = defaultSpec("/").mounts.find(({ destination }) => destination === "/sys");
  assert.ok(sys?.options?.includes("ro"));
});

test("binds the host's own where a namespace is shared", () => {
  const without = (type: string) =>
    defaultMounts(defaultNamespaces.filter((each) => each !== type))
      .filter((mount) => mount.type === "bind")
      .map(({ destination, source }) => [destination, source]);
  assert.equal(without("pid"), [["/proc", "/proc"]]);
  assert.equal(without("network"), [["/sys", "/sys"]]);
  assert.equal(without("ipc"), [
    ["/dev/shm", "/dev/shm"],
    ["/dev/mqueue", "/dev/mqueue"],
  ]);
  assert.equal(without("uts"), []);
});

test.run();

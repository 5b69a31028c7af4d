/**
 * A scope of systemd's for a sandbox, as what is said to the user's manager: org.freedesktop.systemd1(5).
 * The name ends in digits that the program draws when it runs.
 */
import type { ScopeRequest } from "../spec/actions/cgroup.js";
import type { ManagerSocket } from "../spec/host-cgroup.js";
import { encodeCall } from "./dbus.js";

/** Hexadecimal digits at the end of the name. */
const digitCount = 12;

const suffix = ".scope";

/** `stem` is what the name begins with. */
export function scopeRequest(
  stem: string,
  { slice, description }: { slice: string; description: string },
  uid: number,
  kind: ManagerSocket["kind"],
): ScopeRequest {
  const digits = "0".repeat(digitCount);
  const manager = {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
  };
  const bus = {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
  };
  const text = (name: string, value: string) => [name, { signature: "s", value }] as const;
  const start = encodeCall({
    ...manager,
    serial: 3,
    member: "StartTransientUnit",
    signature: "ssa(sv)a(sa(sv))",
    arguments: [
      `${stem}${digits}${suffix}`,
      "fail",
      [
        text("Description", description),
        text("Slice", slice),
        ["Delegate", { signature: "b", value: true }],
        // Gone at its end even where that counts as a failure.
        text("CollectMode", "inactive-or-failed"),
        // 0 is who asks, by whatever pid systemd knows it: src/core/dbus-scope.c of systemd v235.
        ["PIDs", { signature: "au", value: [0] }],
      ],
      [],
    ],
  });
  // On the private socket there is no bus to greet, and all signals come.
  const introduction =
    kind === "private"
      ? []
      : [
          encodeCall({ ...bus, serial: 1, member: "Hello", signature: "", arguments: [] }),
          encodeCall({
            ...bus,
            serial: 2,
            member: "AddMatch",
            signature: "s",
            arguments: [
              `type='signal',interface='${manager.interface}',member='JobRemoved',path='${manager.path}'`,
            ],
          }),
        ];
  const bytes = Buffer.concat([...introduction, start]);
  const place = bytes.indexOf(digits + suffix);
  return {
    // EXTERNAL is who the socket says, whose uid is said as well.
    greeting: Buffer.from(`\0AUTH EXTERNAL ${Buffer.from(`${uid}`).toString("hex")}\r\nBEGIN\r\n`),
    before: bytes.subarray(0, place),
    after: bytes.subarray(place + digitCount),
  };
}

/** The steps that lead to the place where the control group is made: a scope of systemd's, or a directory. */
import type { Host } from "../spec/host.js";
import type { ManagerSocket } from "../spec/host-cgroup.js";
import type { Step } from "../spec/step.js";
import type { Controller } from "./mode.js";
import { defaultSlice, type Place } from "./place.js";
import { scopeRequest } from "./scope.js";
import { enableHints, moveHints, step } from "./step.js";

export function placeSteps(
  place: Place,
  late: readonly Controller[],
  name: string | undefined,
  host: Host,
): Step[] {
  const controllers = place.controllers.filter((each) => !late.includes(each));
  const mountPoint = host.cgroup.mountPoint ?? "";
  const enable =
    controllers.length === 0 ? [] : [step({ kind: "enableControllers", controllers }, enableHints)];
  if (place.kind === "cgroupfs") {
    const leave = place.isOwn && place.controllers.length > 0;
    return [
      step({ kind: "openCgroup", path: place.path, mountPoint, leave }, moveHints),
      ...enable,
    ];
  }
  const description = name === undefined ? "A sandbox" : `The sandbox ${name}`;
  return [
    scopeStep(place, { stem: stemOf(name), description }, host),
    step({ kind: "openCgroup", path: null, mountPoint, leave: true }, moveHints),
    ...enable,
  ];
}

/**
 * Of a monitor whose init is to be born in the group of another sandbox, which takes the right to write to the
 * group that both are in. Who is outside of what is delegated to the caller's systemd, as in a session of a
 * login, has that once it is in a scope of its own; empty where that is not needed, or no help.
 */
export function approachSteps(cgroup: string, host: Host): Step[] {
  const { manager, own } = host.cgroup;
  const isDelegated = (path = "") => manager !== null && path.startsWith(`${manager.path}/`);
  if (manager === null || !isDelegated(cgroup) || isDelegated(own[0]?.path)) return [];
  const place = { socket: manager.socket, slice: defaultSlice };
  return [scopeStep(place, { stem: "sbx-exec-", description: "Enters a sandbox" }, host)];
}

function scopeStep(
  { socket, slice }: { socket: ManagerSocket; slice: string },
  { stem, description }: { stem: string; description: string },
  host: Host,
): Step {
  const request = scopeRequest(stem, { slice, description }, host.user.uid, socket.kind);
  return step({ kind: "startScope", socket: socket.path, slice, stem, request }, scopeHints(host));
}

/** What the names of the scope and of the group begin with; digits of the program's follow. */
export const stemOf = (name: string | undefined) => (name === undefined ? "sbx-" : `sbx-${name}-`);

function scopeHints({ user }: Host) {
  const ended = `Your systemd has ended: sudo loginctl enable-linger ${user.name ?? user.uid} starts it for good`;
  const status = "`systemctl --user status` shows how it is";
  return {
    ENOENT: ended,
    ECONNREFUSED: ended,
    EACCES: "It takes you for somebody else: XDG_RUNTIME_DIR must be a directory of your own",
    EAGAIN: `systemd does not answer: ${status}`,
    any: `${status}; --cgroup-manager=cgroupfs does without`,
  };
}

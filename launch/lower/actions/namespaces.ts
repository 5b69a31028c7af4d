/** The steps of spec/actions/namespaces.ts as ops. */
import type { NamespaceAction } from "../../../spec/actions/namespaces.js";
import type { ActionOf } from "../../../spec/step.js";
import { k } from "../../machine/constants.js";
import { type Context, s } from "../context.js";
import { cloneInit } from "../handshake.js";
import { mapIds, mapNested } from "../id-maps.js";
import { sendNamespaces } from "../namespaces.js";
import { writeProc } from "../rootfs/filesystem.js";
import { stepInit } from "../stepper.js";
import type { Lowering } from "../steps.js";

export const namespaceSteps: Lowering<NamespaceAction> = {
  clone: (c, action, role) => (role === "stepper" ? stepInit(c, action) : cloneInit(c, action)),
  mapIds: (c, action, role) =>
    role === "stepper"
      ? mapNested(c, action)
      : mapIds(c, action, role === "init" ? "self" : s.initPid),
  unshareTime,
  sendNamespaces: (c, { types }) => sendNamespaces(c, types),
  sethostname: setName,
  setdomainname: setName,
};

function unshareTime(c: Context, { monotonic, boottime }: ActionOf<"unshareTime">): void {
  c.b.must("unshare", [k("CLONE_NEWTIME")]);
  writeProc(
    c,
    // Of the host's proc, the sandbox having none yet.
    c.b.text("/proc/self/timens_offsets"),
    `monotonic ${monotonic.secs} ${monotonic.nanosecs}\nboottime ${boottime.secs} ${boottime.nanosecs}\n`,
  );
}

function setName({ b }: Context, { kind, name }: ActionOf<"sethostname" | "setdomainname">): void {
  b.must(kind, [b.text(name), Buffer.byteLength(name)]);
}

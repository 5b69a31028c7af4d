/** The steps of spec/actions/cgroup.ts as ops. */
import type { CgroupAction } from "../../../spec/actions/cgroup.js";
import { k } from "../../machine/constants.js";
import {
  delegateCgroup,
  enableControllers,
  joinCgroup,
  limitCgroup,
  makeCgroup,
  openCgroup,
} from "../cgroup/cgroup.js";
import { startScope } from "../cgroup/dbus.js";
import { awaitMonitor } from "../handshake.js";
import { tell } from "../messages.js";
import type { Lowering } from "../steps.js";

export const cgroupSteps: Lowering<CgroupAction> = {
  startScope,
  openCgroup,
  enableControllers: (c, { controllers }) => enableControllers(c, controllers),
  makeCgroup,
  limitCgroup,
  awaitLimits: (c) => {
    tell(c, "limits", 0);
    awaitMonitor(c);
  },
  joinCgroup,
  unshareCgroup: ({ b }) => b.must("unshare", [k("CLONE_NEWCGROUP")]),
  delegateCgroup,
};

/** The steps of spec/actions/enter.ts as ops. */
import type { EnterAction } from "../../../spec/actions/enter.js";
import { openJoined } from "../joined.js";
import {
  enterSandbox,
  leaveCaller,
  moveToMemory,
  openSandbox,
  outliveMonitor,
} from "../life/enter.js";
import { copyMounts, moveMount } from "../rootfs/copies.js";
import { awaitEnd, openRoot } from "../rootfs/open-root.js";
import { readFiles } from "../rootfs/read-files.js";
import { enterJoined, startStepper } from "../stepper.js";
import type { Lowering } from "../steps.js";

export const enterSteps: Lowering<EnterAction> = {
  moveToMemory,
  openSandbox,
  enterSandbox,
  openRoot,
  readFiles: (c, { paths }) => readFiles(c, paths),
  awaitEnd,
  leaveCaller,
  outliveMonitor,
  openJoined,
  startStepper,
  enterJoined,
  copyMounts,
  moveMount,
};

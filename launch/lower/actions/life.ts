/** The steps of spec/actions/life.ts as ops. */
import type { LifeAction } from "../../../spec/actions/life.js";
import { awaitMonitor } from "../handshake.js";
import { connectSandbox, startSandbox } from "../life/attach/client-connect.js";
import { detach, writePidFile } from "../life/detach.js";
import { tell } from "../messages.js";
import type { DoneElsewhere, Lowering } from "../steps.js";

export const lifeSteps: Lowering<Exclude<LifeAction, DoneElsewhere>> = {
  detach,
  connectSandbox,
  startSandbox,
  writePidFile: (c, { path }) => writePidFile(c, path),
  askRecord: (c) => tell(c, "record", 0),
  awaitRecord: awaitMonitor,
};

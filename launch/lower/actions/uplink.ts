/** The steps of spec/actions/uplink.ts as ops. */
import type { UplinkAction } from "../../../spec/actions/uplink.js";
import { slot } from "../../machine/builder.js";
import type { Context } from "../context.js";
import { awaitMonitor } from "../handshake.js";
import { connect } from "../netns/connect.js";
import { openNetlink } from "../netns/netlink.js";
import { reservePorts } from "../netns/ports.js";
import { enterNetwork, makeNetwork, raiseLoopback } from "../payload/early.js";
import type { Lowering } from "../steps.js";

const fd = slot("fd");

export const uplinkSteps: Lowering<UplinkAction> = {
  makeNetwork,
  enterNetwork,
  loopbackUp,
  reservePorts,
  startUplink: connect,
  awaitUplink: awaitMonitor,
};

function loopbackUp(c: Context): void {
  openNetlink(c, "route", fd);
  raiseLoopback(c, fd);
  c.b.must("close", [fd]);
}

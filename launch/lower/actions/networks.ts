/** The steps of spec/actions/networks.ts as ops. */
import { networkRules } from "../../../netns/filter.js";
import type { NetworksAction } from "../../../spec/actions/networks.js";
import { slot } from "../../machine/builder.js";
import type { Context } from "../context.js";
import { openHolder } from "../netns/holder.js";
import { answerNames, holdNetworks, startSharedUplink } from "../netns/keeper-steps.js";
import { openNetlink, tellKernel } from "../netns/netlink.js";
import { enterHolder, joinNetwork, leaveNetwork, removeBridge } from "../netns/network.js";
import type { Lowering } from "../steps.js";

const fd = slot("fd");

export const networksSteps: Lowering<NetworksAction> = {
  openHolder,
  holdNetworks,
  enterHolder,
  joinNetwork,
  leaveNetwork: (c, action) => leaveNetwork(c, action.interface),
  removeBridge: (c, { bridge }) => removeBridge(c, bridge),
  loadRules,
  startSharedUplink,
  answerNames,
};

function loadRules(c: Context): void {
  openNetlink(c, "netfilter", fd);
  tellKernel(c, fd, networkRules());
  c.b.must("close", [fd]);
}

/** The steps of spec/actions/layers.ts as ops. */
import type { LayerAction } from "../../../spec/actions/layers.js";
import { closeLayers, openLayer, openUpper, overlay } from "../rootfs/layers.js";
import { mountServed, serveOverlay } from "../rootfs/server.js";
import { bindUpperStore, nameUpperStore } from "../rootfs/upper-store.js";
import type { Lowering } from "../steps.js";

export const layerSteps: Lowering<LayerAction> = {
  makeUpperStore: (c, { parent }) => nameUpperStore(c, parent),
  bindUpperStore: (c, { target }) => bindUpperStore(c, target),
  openUpper,
  openLayer: (c, { path, fd }) => openLayer(c, path, fd),
  closeLayers,
  overlay,
  serveOverlay,
  mountServed: (c, { target }) => mountServed(c, target),
};

/** The steps of spec/actions/mounts.ts as ops. */
import type { MountAction } from "../../../spec/actions/mounts.js";
import type { ActionOf } from "../../../spec/step.js";
import { k } from "../../machine/constants.js";
import { type Context, words64 } from "../context.js";
import { attach, bindSource, lockVolume, openAnchors, openSource } from "../rootfs/attach.js";
import { chownTree } from "../rootfs/chown.js";
import { pivotRoot, remount } from "../rootfs/filesystem.js";
import { mask, readonlyPath } from "../rootfs/masks.js";
import type { Lowering } from "../steps.js";

export const mountSteps: Lowering<MountAction> = {
  lockVolume,
  mount,
  addMountFlags,
  remount: (c, { target, flags }) => remount(c, c.b.text(target), flags),
  openAnchors,
  openSource,
  bindSource,
  chownTree,
  attach,
  mask,
  readonlyPath,
  pivotRoot: (c, { newRoot }) => pivotRoot(c, newRoot),
};

function mount(
  { b, known }: Context,
  { source, target, type, flags, data }: ActionOf<"mount">,
): void {
  known.add(target);
  b.must("mount", [
    b.text(source),
    b.text(target),
    type === null ? 0 : b.text(type),
    k(...flags),
    data === "" ? 0 : b.text(data),
  ]);
}

/**
 * struct mount_attr: attr_set, attr_clr, propagation, userns_fd. MOUNT_ATTR_RDONLY, _NOSUID, _NODEV and _NOEXEC have
 * the numbers of their MS_ namesakes.
 */
function addMountFlags(
  { b }: Context,
  { target, flags, recursive }: ActionOf<"addMountFlags">,
): void {
  const attributes = b.bytes("mountAttributes", words64([k(...flags).value, 0n, 0n, 0n]));
  const scope = recursive ? k("AT_RECURSIVE") : k();
  b.must("mount_setattr", [k("AT_FDCWD"), b.text(target), scope, attributes, 32]);
}

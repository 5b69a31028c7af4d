/**
 * How a rootfs of layers comes about, best way first: the kernel's overlay, fuse-overlayfs, or a bind
 * that cannot be written to. Decided from facts alone, so that the plan says it and a launch tries
 * nothing in vain.
 */
import { fail } from "../spec/error.js";
import { type Host, kernelAtLeast } from "../spec/host.js";
import { placesOf } from "../spec/host-rootfs.js";
import { type OverlayKind, overlayKinds, type Spec } from "../spec/spec.js";
import { contains, filesystemOf } from "./paths.js";

/** Which way is taken, and what stands against those before it. */
export interface Rung {
  readonly kind: OverlayKind;
  /** Null where it is the first, or was asked for. */
  readonly why: string | null;
}

/** The most lower layers of an overlay: OVL_MAX_STACK of fs/overlayfs (Linux 4.12 to 6.18). */
const maxLowers = 500;

/** Whether nothing of what is made in the root is thrown away. */
const isKept = ({ root }: Spec, { upper }: Host) => root.readonly === true || upper !== null;

/**
 * Whether there is a layer of mount points below all others. In a layer that is thrown away they could
 * be made as well, but not in a directory whose owner has no id inside.
 */
export function hasInitLayer(spec: Spec, host: Host): boolean {
  const isLacking = placesOf(host.rootfs).some(({ type }) => type === "absent");
  return isKept(spec, host) || (isLacking && host.lowers.length + 1 < maxLowers);
}

/** Whether the rootfs is more than one directory bound as it is. */
export function needsOverlay({ root, sbx }: Spec): boolean {
  if (root.readonly === true) return (sbx.lowers ?? []).length > 0;
  return sbx.writes !== "in-place";
}

/** Throws an `SbxError` with all reasons where there is no way, or not the one that was asked for. */
export function chooseRung(spec: Spec, host: Host): Rung {
  const what = "put the layers of the rootfs together";
  refuseLayers(spec, host, what);
  const forced = spec.sbx.overlay;
  const reasons: string[] = [];
  for (const kind of forced === undefined ? overlayKinds : [forced]) {
    const why = refusalOf[kind](spec, host);
    if (why === null) return { kind, why: reasons.join("; ") || null };
    reasons.push(why);
  }
  if (forced !== undefined) {
    return fail(
      `${what} with --overlay=${forced}`,
      reasons.join("; "),
      "Leave --overlay out for the best way there is; `sbx check` tells what is missing",
    );
  }
  return fail(
    what,
    reasons.join("; "),
    "`sbx check` tells what is missing; or put the directories on a local disk, or use --in-place or --read-only with one directory",
  );
}

const refusalOf: Readonly<Record<OverlayKind, (spec: Spec, host: Host) => string | null>> = {
  kernel: kernelRefusal,
  fuse: fuseRefusal,
  none: noneRefusal,
};

/** Whether a tmpfs can be the upper: since Linux 6.6 (commit 2daf18a7884d) it has user xattrs. */
export function tmpfsHasUserXattrs(host: Host): boolean {
  return kernelAtLeast(host, 6, 6);
}

/** These cannot mark a file as deleted or a directory as opaque in the way that overlayfs needs, see its documentation. */
const noUppers =
  /^(nfs4?|lustre|gpfs|beegfs|ceph|cifs|smb3|9p|overlay|fuse(\..*)?|fuseblk|vfat|exfat|ntfs3?|ecryptfs)$/;

function kernelRefusal(spec: Spec, host: Host): string | null {
  // Distributions have it in older kernels too: who asks for it gets to know from the kernel.
  if (spec.sbx.overlay === undefined && !kernelAtLeast(host, 5, 11)) {
    return `the kernel is ${host.kernel.release}, and has overlays in a user namespace from 5.11 on`;
  }
  const { upper, rootfs, lowers } = host;
  if (rootfs.path === "/" && (upper !== null || lowers.length > 0)) {
    return "the kernel joins no layers with / itself, below which the host's mounts are locked";
  }
  if (rootfs.path !== "/" && host.mountInLayer !== null) {
    const { mountPoint, layer } = host.mountInLayer;
    return `the kernel takes no layer with mounts inside, and ${mountPoint} is one in ${layer}`;
  }
  if (spec.root.readonly === true) return null;
  if (upper === null && tmpfsHasUserXattrs(host)) return null;
  if (upper === null && spec.sbx.upperSizeBytes !== undefined) {
    return "writes cannot be bounded on disk, and tmpfs has no user xattrs before Linux 6.6";
  }
  const place = upper ?? host.upperStore;
  const type = filesystemOf(host, place);
  if (type === "tmpfs" && !tmpfsHasUserXattrs(host)) {
    return `the upper directory ${place} is on a tmpfs, which has no user xattrs before Linux 6.6`;
  }
  return noUppers.test(type)
    ? `the upper directory ${place} is on ${type}, which the kernel's overlay cannot write to`
    : null;
}

function fuseRefusal(_: Spec, host: Host): string | null {
  if (!kernelAtLeast(host, 4, 18)) {
    return `fuse-overlayfs: the kernel is ${host.kernel.release}, and has fuse in a user namespace from 4.18 on`;
  }
  if (!host.fuse.device) return "fuse-overlayfs: /dev/fuse cannot be opened";
  if (host.fuse.overlayfs === null) return "fuse-overlayfs was not found in PATH or /usr/bin";
  const name = host.upper?.slice(host.upper.lastIndexOf("/")) ?? "";
  return name.includes(":")
    ? "fuse-overlayfs takes no upper directory with a colon in its name"
    : null;
}

function noneRefusal({ sbx }: Spec, { lowers }: Host): string | null {
  if (lowers.length > 0) return "several layers cannot be bound as one";
  return sbx.writes === "upper" ? "an upper directory needs an overlay" : null;
}

/** What no overlay takes: overlayfs gives ELOOP for a layer inside another. */
function refuseLayers(spec: Spec, host: Host, what: string): void {
  const lowers = [...host.lowers.map(({ path }) => path), host.rootfs.path];
  const most = isKept(spec, host) ? maxLowers - 1 : maxLowers;
  if (lowers.length > most) {
    fail(
      what,
      `there are ${lowers.length}, and an overlay of this kind has at most ${most}`,
      "Merge some of them into one directory",
    );
  }
  // A copy of the host's root leaves the upper out.
  const all = host.rootfs.path === "/" ? lowers.slice(0, -1) : lowers;
  const places = host.upper === null ? all : [host.upper, `${host.upper}.work`, ...all];
  for (const [index, path] of places.entries()) {
    const other = places.find(
      (each, at) => (at < index && each === path) || (at !== index && contains(each, path)),
    );
    if (other === undefined) continue;
    const why = other === path ? `${path} is named twice` : `${path} lies inside ${other}`;
    fail(what, why, "Layers, the upper directory and its .work must lie beside each other");
  }
}

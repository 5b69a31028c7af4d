/** What fuse-overlayfs is given: its layers, in a mount namespace of its own, and /dev/fuse. */
import type { ActionOf } from "../../../spec/step.js";
import { at } from "../../machine/builder.js";
import { k } from "../../machine/constants.js";
import type { Address } from "../../machine/ir.js";
import { type Context, octal, preservedFds } from "../context.js";
import { makeDirectories } from "./filesystem.js";
import { openLayer } from "./layers.js";

type Serve = ActionOf<"serveOverlay">;

/** Where fuse-overlayfs finds /dev/fuse, and the init what it passes on; above what a set-up opens. */
export const fuseNumber = (c: Context) => 31 + preservedFds(c);
const firstLayer = 32;
/** In the server's own mount namespace: a directory that no layer is, for what is mounted there covers it. */
const base = "/sys";

/** As the caller, and before `base` covers any of them. */
export function openPlaces(c: Context, { lowers, upper }: Serve): void {
  const kept = upper?.kind === "kept" ? [parentOf(upper.path)] : [];
  for (const [index, path] of [...lowers, ...kept].entries())
    openLayer(c, path, firstLayer + index);
}

/** Gives layers short names below `base`, goes there, and returns the options that name them. */
export function arrangeLayers(c: Context, { lowers, upper, hidden, squash }: Serve): string {
  const { b, known } = c;
  const here = new Set(known);
  const tmpfs = (target: string, data: string) =>
    b.must("mount", [
      b.text("tmpfs"),
      b.text(target),
      b.text("tmpfs"),
      k("MS_NOSUID", "MS_NODEV"),
      b.text(data),
    ]);
  const size =
    upper?.kind === "tmpfs" && upper.sizeBytes !== null ? `,size=${upper.sizeBytes}` : "";
  b.must("mount", [b.text("none"), b.text("/"), 0, k("MS_REC", "MS_PRIVATE"), 0]);
  tmpfs(base, `mode=755${size}`);
  known.add(base);
  // With the mounts inside, which are locked to it in a user namespace.
  const show = (index: number, name: string) => {
    const target = `${base}/${name}`;
    const source = b.text(`/proc/self/fd/${firstLayer + index}`);
    makeDirectories(c, target, 0o755);
    b.must("mount", [source, b.text(target), 0, k("MS_BIND", "MS_REC"), 0]);
  };
  for (const index of lowers.keys()) show(index, `${index}`);
  for (const [path, mode] of hidden) {
    tmpfs(`${base}/${lowers.length - 1}${path}`, `mode=${mode.toString(8)},size=4k`);
  }
  if (upper?.kind === "tmpfs") {
    b.must("mkdirat", [k("AT_FDCWD"), b.text(`${base}/upper`), octal(upper.mode)]);
    b.must("mkdirat", [k("AT_FDCWD"), b.text(`${base}/work`), octal(0o700)]);
  } else if (upper?.kind === "kept") {
    // Both below one mount, or nothing could be moved from one to the other.
    show(lowers.length, "kept");
    const name = upper.path.slice(upper.path.lastIndexOf("/") + 1);
    b.must("symlinkat", [b.text(`kept/${name}`), k("AT_FDCWD"), b.text(`${base}/upper`)]);
    b.must("symlinkat", [b.text(`kept/${name}.work`), k("AT_FDCWD"), b.text(`${base}/work`)]);
  }
  b.must("chdir", [b.text(base)]);
  known.clear();
  for (const path of here) known.add(path);
  return [
    `lowerdir=${[...lowers.keys()].join(":")}`,
    ...(upper === null ? [] : ["upperdir=upper", "workdir=work"]),
    ...(squash ? ["squash_to_root"] : []),
  ].join(",");
}

const parentOf = (path: string) => path.slice(0, path.lastIndexOf("/")) || "/";

const fdControl = 128;
/** Where in a message of `fdMessage` the fd lies. */
export const fdOffset = fdControl + 16;

/** A msghdr at the start of `scratch` for one byte with a fd, or room for one. */
export function fdMessage({ b, memory }: Context, fd: number | null): Address {
  const { scratch } = memory;
  const words: readonly (readonly [number, number | Address])[] = [
    [0, 0],
    [8, 0],
    [16, at(scratch, 64)],
    [24, 1],
    [32, at(scratch, fdControl)],
    [40, 24],
    [48, 0],
    [64, at(scratch, 96)],
    [72, 1],
    [fdControl, 20],
    [fdOffset, fd ?? -1],
  ];
  for (const [offset, value] of words) b.store(8, scratch, offset, value);
  b.store(4, scratch, fdControl + 8, k("SOL_SOCKET"));
  b.store(4, scratch, fdControl + 12, k("SCM_RIGHTS"));
  return scratch;
}

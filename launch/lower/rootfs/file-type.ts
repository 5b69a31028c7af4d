/** Of which type an open file is. */
import { slot } from "../../machine/builder.js";
import { k } from "../../machine/constants.js";
import type { Value } from "../../machine/ir.js";
import { type Context, call } from "../context.js";

/** The S_IFMT part of a mode, as `typeOf` found it. */
export const fileType = slot("fileType");

/** struct statx, the same on every architecture: statx(2). */
export const statx = { mode: 28, inode: 32, rdev: 128, device: 136 } as const;

/** Leaves a struct statx in `scratch`, and its type in `fileType`. */
export function typeOf(c: Context, fd: Value): void {
  const { b, memory } = c;
  b.must("statx", [fd, b.text(""), k("AT_EMPTY_PATH"), k("STATX_BASIC_STATS"), memory.scratch]);
  call(c, "file.type");
}

/** What the function above calls. */
export function typeSubroutine({ b, memory, called }: Context): void {
  if (!called.has("file.type")) return;
  b.label("file.type");
  b.load(4, fileType, memory.scratch, statx.mode);
  b.alu("and", fileType, fileType, k("S_IFMT"));
  b.return();
}

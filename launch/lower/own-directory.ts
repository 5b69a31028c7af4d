/** Directories of sbx's own that may have to be made. */
import { dirname } from "node:path";
import { k } from "../machine/constants.js";
import type { Constant, Slot } from "../machine/ir.js";
import { type Context, octal } from "./context.js";

/** Below `base` all may be gone: it is made where it is missed. `label` is what labels of it begin with. */
export function openOwnDirectory(
  { b }: Context,
  { directory, base }: { readonly directory: string; readonly base: string },
  { to, flags, label }: { readonly to: Slot; readonly flags: Constant; readonly label: string },
): void {
  const open = b.fresh(label);
  const made: string[] = [];
  for (let each = directory; each !== base; each = dirname(each)) made.unshift(each);
  const path = [k("AT_FDCWD"), b.text(directory), flags, 0] as const;
  b.attempt("openat", path, to);
  b.branch(to, "ge", 0, open);
  for (const each of made) {
    b.ignore("opening it tells", "mkdirat", [k("AT_FDCWD"), b.text(each), octal(0o700)]);
  }
  b.must("openat", path, to);
  b.label(open);
}

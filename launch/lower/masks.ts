/** Masked and read-only paths: two subroutines, as there are a dozen paths. */
import type { Action, Located, Plan } from "../../spec/step.js";
import { slot } from "../builder.js";
import { k, minus } from "../constants.js";
import { type Context, failWithResult, s } from "./context.js";
import { lookupPath, remount } from "./filesystem.js";

const path = slot("protectedPath");
const required = slot("protectionRequired");

export function mask({ b }: Context, what: Extract<Action, { kind: "mask" }>): void {
  b.set(path, b.text(lookupPath(what)));
  b.set(required, what.required ? 1 : 0);
  b.call("path.mask");
}

export function readonlyPath({ b }: Context, what: Located): void {
  b.set(path, b.text(lookupPath(what)));
  b.call("path.readonly");
}

const has = ({ steps }: Plan, kind: "mask" | "readonlyPath") =>
  steps.some(({ action }) => action.kind === kind);

export function maskSubroutines(c: Context): void {
  if (has(c.plan, "mask")) maskSubroutine(c);
  if (has(c.plan, "readonlyPath")) readonlySubroutine(c);
}

/** The kernel tells which it is: ENOTDIR for a file mounted over a directory, and the other way round. */
function maskSubroutine(c: Context): void {
  const { b } = c;
  b.comment("hide what lies at protectedPath, if anything");
  b.label("path.mask");
  b.attempt("mount", [b.text("/dev/null"), path, 0, k("MS_BIND"), 0], s.result);
  b.branch(s.result, "eq", 0, "path.mask.end");
  b.branch(s.result, "eq", minus("ENOENT"), "path.mask.absent");
  b.branch(s.result, "eq", minus("ENOTDIR"), "path.mask.directory");
  failWithResult(b);
  b.label("path.mask.directory");
  const flags = k("MS_RDONLY", "MS_NOSUID", "MS_NODEV", "MS_NOEXEC");
  const tmpfs = b.text("tmpfs");
  b.attempt("mount", [tmpfs, path, tmpfs, flags, b.text("size=4k,mode=555")], s.result);
  b.branch(s.result, "eq", 0, "path.mask.end");
  b.branch(s.result, "eq", minus("ENOTDIR"), "path.mask.absent");
  failWithResult(b);
  b.label("path.mask.absent");
  b.branch(required, "eq", 0, "path.mask.end");
  failWithResult(b);
  b.label("path.mask.end");
  b.return();
}

function readonlySubroutine(c: Context): void {
  const { b } = c;
  b.comment("make protectedPath read-only, if it is there");
  b.label("path.readonly");
  b.attempt("mount", [path, path, 0, k("MS_BIND", "MS_REC"), 0], s.result);
  b.branch(s.result, "eq", 0, "path.readonly.bound");
  b.branch(s.result, "eq", minus("ENOENT"), "path.readonly.end");
  failWithResult(b);
  b.label("path.readonly.bound");
  remount(c, path, ["MS_RDONLY"]);
  b.label("path.readonly.end");
  b.return();
}

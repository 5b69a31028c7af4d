/** Masked and read-only paths: a subroutine each, as there are a dozen paths. */
import type { Plan } from "../../../spec/plan.js";
import type { ActionOf } from "../../../spec/step.js";
import { slot } from "../../machine/builder.js";
import { k, minus } from "../../machine/constants.js";
import { type Context, failWithResult, s } from "../context.js";
import { bindFd, nameOf, nullFd } from "./attach.js";
import { remount } from "./filesystem.js";
import { failUnresolved, resolve } from "./resolve.js";
import { resolved } from "./walk.js";

const path = slot("protectedPath");
const required = slot("protectionRequired");

export function mask(c: Context, what: ActionOf<"mask">): void {
  const { b } = c;
  b.set(required, what.required ? 1 : 0);
  if (what.staged !== null) {
    b.set(path, b.text(what.staged));
    b.call("path.mask");
    return;
  }
  const end = b.fresh("mask");
  resolve(c, b.text(what.path));
  if (!what.required) unlessAbsent(c, end);
  failUnresolved(c);
  b.set(path, nameOf(c, resolved, c.memory.name));
  b.call("path.mask");
  b.must("close", [resolved]);
  b.label(end);
}

export function readonlyPath(c: Context, what: ActionOf<"readonlyPath">): void {
  const { b } = c;
  if (what.staged !== null) {
    b.set(path, b.text(what.staged));
    b.call("path.readonly");
    return;
  }
  const end = b.fresh("readonly");
  const scratch = b.text(what.scratch);
  resolve(c, b.text(what.path));
  unlessAbsent(c, end);
  failUnresolved(c);
  bindFd(c, resolved, what.scratch, true);
  remount(c, scratch, ["MS_RDONLY"]);
  b.must("mount", [scratch, nameOf(c, resolved), 0, k("MS_MOVE"), 0]);
  b.must("close", [resolved]);
  b.label(end);
}

function unlessAbsent({ b }: Context, absent: string): void {
  for (const errno of ["ENOENT", "ENOTDIR"]) b.branch(resolved, "eq", minus(errno), absent);
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
  b.attempt("mount", [nameOf(c, nullFd), path, 0, k("MS_BIND"), 0], s.result);
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

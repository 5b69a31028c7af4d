/** The words of fuse-overlayfs, pasta, slirp4netns and systemd, for the report of a failure of theirs. */
import type { Action } from "../../../spec/step.js";
import { slot } from "../../machine/builder.js";
import type { Slot } from "../../machine/ir.js";
import { type Context, s } from "../context.js";
import { append } from "./text.js";

/** Whose words explain a step. */
const speakers: Partial<Record<Action["kind"], Slot>> = {
  serveOverlay: s.serverSaid,
  mountServed: s.serverSaid,
  startUplink: s.uplinkSaid,
  startScope: s.scopeSaid,
};

/** What a helper said, in brackets and on one line, if a step of its own failed. */
export function appendSaid(c: Context, failedStep: Slot): void {
  const { b, plan } = c;
  const steps = plan.steps.flatMap(({ action }, number) => {
    const from = speakers[action.kind];
    return from === undefined ? [] : [{ number, from }];
  });
  if (steps.length === 0) return;
  const size = 1024;
  const said = b.buffer("helperSaid", size);
  const pipe = slot("saidPipe");
  const end = b.fresh("said");
  const own = b.fresh("said");
  const next = b.fresh("said");
  const plain = b.fresh("said");
  const length = slot("saidLength");
  const place = slot("saidPlace");
  const letter = slot("saidLetter");
  for (const { number, from } of steps) {
    b.set(pipe, from);
    b.branch(failedStep, "eq", number, own);
  }
  b.jump(end);
  b.label(own);
  b.attempt("read", [pipe, said, size - 1], length);
  b.branch(length, "le", 0, end);
  b.alu("add", length, length, said);
  b.set(place, said);
  b.label(next);
  b.load(1, letter, place);
  b.branch(letter, "ge", " ".charCodeAt(0), plain);
  b.store(1, place, 0, " ".charCodeAt(0));
  b.label(plain);
  b.alu("add", place, place, 1);
  b.branch(place, "lt", length, next);
  b.alu("sub", place, place, 1);
  b.load(1, letter, place);
  const trimmed = b.fresh("said");
  b.branch(letter, "ne", " ".charCodeAt(0), trimmed);
  b.store(1, place, 0, 0);
  b.label(trimmed);
  append(c, [b.text(" ("), said, b.text(")")]);
  b.label(end);
}

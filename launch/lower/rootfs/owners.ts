/**
 * Calls that give files to ids which do not exist inside: a filter asks the monitor about each, the
 * monitor lets it go on, as the kernel will refuse it, and tells once, at the end, what was missing.
 */
import type { ActionOf } from "../../../spec/step.js";
import { slot } from "../../machine/builder.js";
import { k } from "../../machine/constants.js";
import type { Slot } from "../../machine/ir.js";
import { actionOf, type Context } from "../context.js";
import { filterProgram } from "../payload/seccomp.js";
import { events, type PollTable } from "../poll.js";
import { sendFd } from "../rights.js";

const listener = slot("ownersFd");
const wasAsked = slot("ownersAsked");

/** struct seccomp_notif, of which the first word is the call's id, and struct seccomp_notif_resp. */
const noticeSize = 80;
const answer = { value: 8, error: 16, flags: 20 } as const;

type Watch = ActionOf<"watchOwners">;

const watchOf = (c: Context): Watch | undefined => actionOf(c, "watchOwners");

/** In the payload. Where there is a listener around sbx, there cannot be another: it does without. */
export function watchOwners(c: Context, { filter }: Watch): void {
  const { b } = c;
  const fd = slot("watchFd");
  const none = b.fresh("owners");
  const flags = k("SECCOMP_FILTER_FLAG_NEW_LISTENER");
  const program = filterProgram(b, "ownersFilter", filter);
  b.attempt("seccomp", [k("SECCOMP_SET_MODE_FILTER"), flags, program], fd);
  b.branch(fd, "lt", 0, none);
  sendFd(c, "owners", fd);
  b.must("close", [fd]);
  b.label(none);
}

/** In the monitor, before anything can happen. */
export function ownersState({ b }: Context): void {
  b.set(listener, -1);
  b.set(wasAsked, 0);
}

/** Whether there may be anything to be told. */
export function watchesOwners(c: Context): boolean {
  return watchOf(c) !== undefined;
}

export function takeOwners({ b }: Context, fd: Slot): void {
  b.set(listener, fd);
}

export function watchListener(poll: PollTable): void {
  poll.watch("owners", listener, k("POLLIN"));
}

/** After the wait. */
export function answerOwners(c: Context, poll: PollTable): void {
  if (!watchesOwners(c)) return;
  const { b, memory } = c;
  const end = b.fresh("owners");
  const gone = b.fresh("owners");
  const { scratch } = memory;
  poll.happened("owners");
  b.branch(events, "eq", 0, end);
  b.alu("and", events, events, k("POLLIN"));
  b.branch(events, "eq", 0, gone);
  for (let offset = 0; offset < noticeSize; offset += 8) b.store(8, scratch, offset, 0);
  const received = slot("ownersReceived");
  b.attempt("ioctl", [listener, k("SECCOMP_IOCTL_NOTIF_RECV"), scratch], received);
  b.comment("who asked may have been killed");
  b.branch(received, "lt", 0, end);
  b.set(wasAsked, 1);
  b.store(8, scratch, answer.value, 0);
  b.store(4, scratch, answer.error, 0);
  b.store(4, scratch, answer.flags, k("SECCOMP_USER_NOTIF_FLAG_CONTINUE"));
  b.ignore("who asked may have been killed", "ioctl", [
    listener,
    k("SECCOMP_IOCTL_NOTIF_SEND"),
    scratch,
  ]);
  b.jump(end);
  b.label(gone);
  b.ignore("it is ours", "close", [listener]);
  b.set(listener, -1);
  b.label(end);
}

/** At the end, when the terminal is the caller's again. */
export function tellOfOwners(c: Context): void {
  const watch = watchOf(c);
  if (watch === undefined) return;
  const { b } = c;
  const end = b.fresh("owners");
  const line = `${watch.message}\n`;
  b.branch(wasAsked, "eq", 0, end);
  b.ignore("there is nobody else to tell", "write", [2, b.text(line), Buffer.byteLength(line)]);
  b.label(end);
}

/**
 * pasta or slirp4netns, and its life. It is a child of who starts it, which asks the kernel to kill it
 * at its own end; slirp4netns, which changes its ids and so loses that, looks after a pipe as well.
 *
 * Both find the namespaces by a pid, slirp4netns twice, and in a process that can be looked into: the
 * init cannot, once it has changed its ids. So there is the anchor, a process of ours that enters both
 * namespaces and stays until the helper is ready. Nobody inside sees it: the payload starts after that.
 */
import type { Uplink, UplinkPiece } from "../../../spec/actions/uplink.js";
import type { ActionOf } from "../../../spec/step.js";
import { slot } from "../../machine/builder.js";
import { k, signo } from "../../machine/constants.js";
import type { Address, Slot } from "../../machine/ir.js";
import { type Context, s } from "../context.js";
import { leaveCaller } from "../fds.js";
import { unblockSignals } from "../signals.js";
import { compose, type Piece } from "../text/text.js";
import { loadHostPort } from "./ports.js";

/** What the starter keeps of a helper. */
export const uplink = {
  pid: slot("uplinkPid"),
  /** Says that it is ready, or ends. */
  ready: slot("uplinkReady"),
  /** What it says on stderr. */
  said: s.uplinkSaid,
  /** 0 where there is none. */
  anchor: slot("anchorPid"),
  /** The pid of who started it, who alone holds the write end of a pipe, for life. */
  starter: slot("uplinkStarter"),
  aliveWrite: slot("uplinkAliveWrite"),
} as const;

const { anchor, starter, aliveWrite } = uplink;
const joinedRead = slot("joinedRead");
const joinedWrite = slot("joinedWrite");
const readyWrite = slot("uplinkReadyWrite");
const saidWrite = slot("uplinkSaidWrite");
const aliveRead = slot("uplinkAliveRead");
const parent = slot("parentPid");

export const uplinkOf = ({ plan }: Context) =>
  plan.steps
    .map(({ action }) => action)
    .find((a): a is ActionOf<"startUplink"> => a.kind === "startUplink");

/** fds, of a user namespace and a network namespace that it owns. */
export interface Namespaces {
  readonly user: Slot;
  readonly net: Slot;
}

/**
 * Starts the helper for the network namespace of `target`, a process or its namespaces themselves; says nothing before it has
 * bound its ports. `leave` closes in it what only the starter shall hold; `failTo` is where a failure goes.
 */
export function startUplink(
  c: Context,
  planned: Uplink,
  target: Slot | Namespaces,
  { leave, failTo }: { readonly leave: () => void; readonly failTo: string },
): void {
  const { b } = c;
  b.must("getpid", [], starter);
  pipe(c, uplink.ready, readyWrite, k("O_CLOEXEC"));
  // What is not read must not hold it up.
  pipe(c, uplink.said, saidWrite, k("O_CLOEXEC", "O_NONBLOCK"));
  pipe(c, aliveRead, aliveWrite, k("O_CLOEXEC"));
  pipe(c, joinedRead, joinedWrite, k("O_CLOEXEC"));
  startAnchor(c, target, planned, leave);
  b.failTo(failTo);
  const started = b.fresh("uplink");
  const failed = b.fresh("uplink");
  const apart = b.fresh("uplink");
  b.must("clone", [signo("SIGCHLD"), 0, 0, 0, 0], uplink.pid);
  b.branch(uplink.pid, "ne", 0, started);
  b.comment(`becomes ${planned.helper}`);
  b.failTo(failed);
  leave();
  for (const fd of [joinedWrite, uplink.ready, uplink.said, aliveWrite]) b.must("close", [fd]);
  leaveCaller(c);
  b.must("dup3", [saidWrite, 2, 0]);
  b.must("dup3", [readyWrite, 0, 0]);
  b.must("fcntl", [aliveRead, k("F_SETFD"), 0]);
  dieWithStarter(c, failed);
  b.must("read", [joinedRead, c.memory.scratch, 1], s.result);
  b.branch(s.result, "ne", 1, apart);
  // pasta gives up where this is ignored, as services of systemd have it.
  const byDefault = b.bytes("defaultAction", new Uint8Array(32));
  b.must("rt_sigaction", [signo("SIGPIPE"), byDefault, 0, 8]);
  unblockSignals(c);
  // The starter may be another user than its socket's.
  b.ignore("umask(2) always succeeds", "umask", [0]);
  const words = planned.words.map((word) => composeWord(c, word));
  const program = b.text(planned.program);
  const argv = b.buffer(b.fresh("uplinkArguments"), 8 * (words.length + 2));
  for (const [index, word] of [program, ...words].entries()) b.store(8, argv, 8 * index, word);
  b.ignore("the next line tells", "execve", [
    program,
    argv,
    b.words(b.fresh("uplinkEnvironment"), [0], false),
  ]);
  for (const [label, refusal] of [
    [failed, "it cannot be executed"],
    [apart, "the namespaces cannot be entered"],
  ] as const) {
    b.label(label);
    b.ignore("the starter reads it", "write", [saidWrite, b.text(refusal), refusal.length]);
    b.exit(127);
  }

  b.label(started);
  b.failTo(failTo);
  for (const fd of [joinedRead, joinedWrite, readyWrite, saidWrite, aliveRead]) {
    b.must("close", [fd]);
  }
}

function startAnchor(
  c: Context,
  target: Slot | Namespaces,
  { socket }: Uplink,
  leave: () => void,
): void {
  const { b } = c;
  const end = b.fresh("anchor");
  const started = b.fresh("anchor");
  const files = "net" in target ? target : openNamespaces(c, target);
  b.must("clone", [signo("SIGCHLD"), 0, 0, 0, 0], anchor);
  b.branch(anchor, "ne", 0, started);
  b.comment("the anchor");
  b.failTo(end);
  leave();
  for (const fd of [joinedRead, uplink.ready, uplink.said, aliveWrite, readyWrite, saidWrite]) {
    b.must("close", [fd]);
  }
  leaveCaller(c);
  b.must("setns", [files.user, k("CLONE_NEWUSER")]);
  b.must("setns", [files.net, k("CLONE_NEWNET")]);
  dieWithStarter(c, end);
  hastenIpv6(c);
  if (socket !== null) {
    // Where nobody else finds it, and which nobody has to remove.
    const options = b.text("mode=777");
    b.must("unshare", [k("CLONE_NEWNS")]);
    b.must("mount", [b.text("tmpfs"), b.text("/sys"), b.text("tmpfs"), k("MS_NODEV"), options]);
  }
  b.must("write", [joinedWrite, b.text("!"), 1]);
  b.ignore("it is killed", "ppoll", [0, 0, 0, 0, 8]);
  b.label(end);
  b.exit(0);
  b.label(started);
  if (files !== target) for (const fd of Object.values(files)) b.must("close", [fd]);
}

/** While the target can be looked into. */
function openNamespaces(c: Context, target: Slot): Namespaces {
  const { b, memory } = c;
  const files = { user: slot("anchorUser"), net: slot("anchorNet") } as const;
  for (const [name, fd] of Object.entries(files)) {
    compose(c, [b.text("/proc/"), { decimal: target }, b.text(`/ns/${name}`)]);
    b.must("openat", [k("AT_FDCWD"), memory.text, k("O_RDONLY", "O_CLOEXEC"), 0], fd);
  }
  return files;
}

/**
 * Addresses would be of use after a second only, in which nobody says that they are his, and others be
 * asked for a second after that; of whom, who forwards does not ask: ip-sysctl.rst. The one link that is
 * still to come is the helper's, or those of bridges, of whom the rules let nobody say that he is a router.
 */
function hastenIpv6({ b }: Context): void {
  const fd = slot("ipv6Setting");
  const settings = { accept_dad: "0", router_solicitation_delay: "0", accept_ra: "2" };
  for (const [name, value] of Object.entries(settings)) {
    const next = b.fresh("anchor");
    const path = b.text(`/proc/sys/net/ipv6/conf/default/${name}`);
    b.orElse(next, "openat", [k("AT_FDCWD"), path, k("O_WRONLY", "O_CLOEXEC"), 0], fd);
    b.ignore("it takes a second then", "write", [fd, b.text(value), 1]);
    b.must("close", [fd]);
    b.label(next);
  }
}

/** Who has another parent by now has missed the end of its starter. */
function dieWithStarter({ b }: Context, orphaned: string): void {
  b.must("prctl", [k("PR_SET_PDEATHSIG"), signo("SIGKILL"), 0, 0, 0]);
  b.must("getppid", [], parent);
  b.branch(parent, "ne", starter, orphaned);
}

function pipe({ b, memory }: Context, read: Slot, write: Slot, flags: ReturnType<typeof k>): void {
  b.must("pipe2", [memory.pair, flags]);
  b.load(4, read, memory.pair);
  b.load(4, write, memory.pair, 4);
}

/** A word with its numbers, in memory of its own. */
export function composeWord(c: Context, word: readonly UplinkPiece[]): Address {
  const { b } = c;
  const text = word.every((piece) => typeof piece === "string") ? word.join("") : null;
  if (text !== null) return b.text(text);
  const size = word.reduce(
    (sum, piece) => sum + (typeof piece === "string" ? piece.length : 20),
    1,
  );
  const buffer = b.buffer(b.fresh("uplinkWord"), size);
  compose(
    c,
    word.map((piece) => pieceOf(c, piece)),
    buffer,
  );
  return buffer;
}

/** In the helper and its starter. */
export function pieceOf(c: Context, piece: UplinkPiece): Piece {
  if (typeof piece === "string") return c.b.text(piece);
  if (piece.kind === "target") return { decimal: anchor };
  if (piece.kind === "starterFd") return { decimal: aliveRead };
  const number = slot("hostPort");
  loadHostPort(c, piece.range, number);
  return { decimal: number };
}

/** In the starter, once it is ready. */
export function dismissAnchor({ b }: Context): void {
  const none = b.fresh("anchor");
  b.branch(anchor, "eq", 0, none);
  b.ignore("it may have died by itself", "kill", [anchor, signo("SIGKILL")]);
  b.label(none);
}

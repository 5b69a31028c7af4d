/**
 * The holder of the caller's networks: two processes. The keeper is outside, and hands the namespaces
 * out to sandboxes; launch/lower/netns/holder.ts tells when it starts and ends. The answerer is in them: it
 * sets them up, and then answers for names. The kernel ends it, and the uplink, with the keeper.
 */

import { errnoNumbers } from "../../../spec/linux.js";
import { slot } from "../../machine/builder.js";
import { k, signo } from "../../machine/constants.js";
import { type Context, s, stepOf } from "../context.js";
import { leaveCaller } from "../fds.js";
import { leaveLife } from "../life/detach.js";
import { attachFds, messageHeader } from "../rights.js";
import { getShared, leaveFailure } from "../shared.js";
import { lowerSteps } from "../steps.js";
import { rename } from "../text/rename.js";
import { compose } from "../text/text.js";
import { h, opensHolder, sentFds } from "./holder.js";
import { isServing, openAnswererSocket, sharesUplink } from "./keeper-steps.js";
import { uplink } from "./uplink.js";

const client = slot("clientFd");
const life = slot("clientLife");
const own = slot("keeperSignals");
const pid = slot("reapedPid");
const events = slot("keeperEvents");

/** Where `openHolder` starts it. */
export function lowerKeeper(c: Context): void {
  if (!opensHolder(c)) return;
  const { b, memory } = c;
  b.comment("keeper");
  b.label("keeper");
  b.failTo("keeper.fail");
  b.must("close", [h.lock]);
  leaveLife(c);
  b.ignore("it tells the sandbox's life, not ours", "close", [h.firstLife]);
  b.must("chdir", [b.text("/")]);
  for (const number of [isServing, uplink.pid, uplink.anchor, uplink.starter]) b.set(number, 0);
  for (const fd of [own, uplink.said, uplink.aliveWrite]) b.set(fd, -1);
  lowerSteps(c, "keeper");
  b.comment("let the answerer set the namespaces up");
  b.must("sendto", [h.outside, b.text("!"), 1, k("MSG_NOSIGNAL"), 0, 0]);
  const answering = b.fresh("keeper");
  awaitAnswerer(c, answering);
  b.jump("keeper.fail");
  b.label(answering);
  leaveCaller(c);
  // It outlives the command that its arguments are about.
  rename(c, "sbx-networks");
  b.must("signalfd4", [-1, memory.allSignals, 8, k("SFD_CLOEXEC", "SFD_NONBLOCK")], own);
  b.set(isServing, 1);
  keepOn(c);

  b.label("keeper.fail");
  leaveFailure(c);
  b.exit(125);

  b.comment("answerer");
  b.label("answerer");
  b.must("close", [h.outside]);
  b.must("prctl", [k("PR_SET_PDEATHSIG"), signo("SIGKILL"), 0, 0, 0]);
  b.comment("wait for the id map; the end of the socket means that the keeper is dead");
  b.must("read", [h.inside, memory.scratch, 1], s.result);
  b.branch(s.result, "ne", 1, "keeper.end");
  lowerSteps(c, "answerer");
  b.label("keeper.end");
  b.exit(125);
}

/** Goes to `answering` once it does; else the errno is set, and the step where it told none itself. */
function awaitAnswerer(c: Context, answering: string): void {
  const { b, memory } = c;
  const told = b.fresh("keeper");
  b.attempt("read", [h.outside, memory.scratch, 8], s.result);
  b.branch(s.result, "eq", 8, told);
  // It has left its failure itself, or was killed.
  getShared(c, "failed", s.result);
  b.branch(s.result, "ne", 0, "keeper.end");
  b.store(8, memory.scratch, 0, Number(errnoNumbers.ESRCH));
  b.label(told);
  b.load(8, s.errno, memory.scratch);
  b.branch(s.errno, "eq", 0, answering);
  b.set(s.step, stepOf(c, "answerNames"));
}

/** In the keeper, for a child that has ended: another takes its place. */
function replace(c: Context): void {
  const { b } = c;
  const [notAnchor, notUplink, other] = [
    b.fresh("replace"),
    b.fresh("replace"),
    b.fresh("replace"),
  ];
  const pause = b.words("replacePause", [0, 200_000_000], false);
  const wait = () =>
    b.ignore("all signals are blocked, so nothing cuts it short", "nanosleep", [pause, 0]);
  b.branch(pid, "ne", uplink.anchor, notAnchor);
  b.set(uplink.anchor, 0);
  b.label(notAnchor);
  if (sharesUplink(c)) {
    b.branch(pid, "ne", uplink.pid, notUplink);
    b.set(uplink.pid, 0);
    wait();
    for (const fd of [uplink.said, uplink.aliveWrite]) b.ignore("it is ours", "close", [fd]);
    b.jump("keeper.uplink");
  }
  b.label(notUplink);
  b.branch(pid, "ne", s.initPid, other);
  wait();
  b.ignore("it is ours", "close", [h.outside]);
  openAnswererSocket(c);
  b.must("clone", [signo("SIGCHLD"), 0, 0, 0, 0], s.initPid);
  b.branch(s.initPid, "eq", 0, "answerer.again");
  b.ignore("it is ours", "close", [h.inside]);
  awaitAnswerer(c, other);
  b.label(other);
}

/** Sandboxes are served as long as there are any. */
function keepOn(c: Context): void {
  const { b, memory } = c;
  const table = b.buffer("keeperPoll", 24);
  const pause = b.words("keeperPause", [0, 10_000_000], false);
  for (const [index, fd] of [own, h.listener, h.lifeRead].entries()) {
    b.store(4, table, 8 * index, fd);
    b.store(4, table, 8 * index + 4, k("POLLIN"));
  }
  const happened = (index: number, otherwise: string) => {
    b.load(4, events, table, 8 * index + 4);
    b.alu("shr", events, events, 16);
    b.branch(events, "eq", 0, otherwise);
  };
  const [next, noSignal, noClient, locked] = ["next", "noSignal", "noClient", "locked"].map(
    (name) => `keeper.${name}`,
  ) as [string, string, string, string];
  b.label(next);
  b.ignore("all signals are blocked, so nothing interrupts it", "ppoll", [table, 3, 0, 0, 8]);
  happened(0, noSignal);
  b.ignore("it was ready", "read", [own, memory.signal, 128]);
  b.label("keeper.reap");
  b.attempt("wait4", [-1, memory.status, k("WNOHANG"), 0], pid);
  b.branch(pid, "le", 0, noSignal);
  replace(c);
  b.jump("keeper.reap");
  b.label(noSignal);
  happened(1, noClient);
  serve(c, noClient);
  b.comment("it has the pipe now, of which another end was known before");
  b.jump(next);
  b.label(noClient);
  happened(2, next);
  b.comment("no sandbox is left; but one may be about to start, or have come just now");
  b.attempt("openat", [h.directory, b.text("networks.lock"), k("O_RDWR", "O_CLOEXEC"), 0], h.lock);
  b.branch(h.lock, "lt", 0, "keeper.gone");
  b.attempt("flock", [h.lock, k("LOCK_EX", "LOCK_NB")], s.result);
  b.branch(s.result, "ne", 0, locked);
  serve(c, "keeper.gone");
  b.label(locked);
  b.ignore("it is ours", "close", [h.lock]);
  b.ignore("all signals are blocked, so nothing cuts it short", "nanosleep", [pause, 0]);
  b.jump(next);
  b.label("keeper.gone");
  b.ignore("the next one replaces it", "unlinkat", [h.directory, b.text("networks.sock"), 0]);
  b.exit(0);
}

/** A sandbox that has connected gets what it came for; `none` where there is no such. */
function serve(c: Context, none: string): void {
  const { b, memory } = c;
  const failed = b.fresh("serve");
  b.attempt("accept4", [h.listener, 0, 0, k("SOCK_CLOEXEC")], client);
  b.branch(client, "lt", 0, none);
  compose(c, [b.text("/proc/self/fd/"), { decimal: h.lifeRead }]);
  b.orElse(failed, "openat", [k("AT_FDCWD"), memory.text, k("O_WRONLY", "O_CLOEXEC"), 0], life);
  const header = messageHeader(c, [[b.text("!"), 1]], sentFds);
  attachFds(c, [h.user, h.net, life]);
  b.ignore("it has gone again", "sendmsg", [client, header, k("MSG_NOSIGNAL")]);
  b.ignore("it is ours", "close", [life]);
  b.label(failed);
  b.ignore("it is ours", "close", [client]);
}

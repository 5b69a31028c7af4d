/**
 * The holder of the caller's networks: two processes. The keeper is outside, and hands the namespaces
 * out to sandboxes; launch/lower/holder.ts tells when it starts and ends. The answerer is in them: it
 * sets them up, and then answers for names. The kernel ends it, and the uplink, with the keeper.
 */
import { slot } from "../builder.js";
import { k, signo } from "../constants.js";
import { lowerSteps } from "./action.js";
import { type Context, s } from "./context.js";
import { closeFrom, leaveCaller } from "./fds.js";
import { h, opensHolder, sentFds } from "./holder.js";
import { rename } from "./rename.js";
import { attachFds, messageHeader } from "./rights.js";
import { leaveFailure } from "./shared.js";
import { compose } from "./text.js";

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
  b.must("chdir", [b.text("/")]);
  b.ignore("it tells the sandbox's life, not ours", "close", [h.firstLife]);
  lowerSteps(c, "keeper");
  b.comment("let the answerer set the namespaces up");
  b.must("sendto", [h.outside, b.text("!"), 1, k("MSG_NOSIGNAL"), 0, 0]);
  b.must("read", [h.outside, memory.scratch, 1], s.result);
  b.branch(s.result, "ne", 1, "keeper.end");
  leaveCaller(c);
  // It outlives the command that its arguments are about.
  rename(c, "sbx-networks");
  b.must("signalfd4", [-1, memory.allSignals, 8, k("SFD_CLOEXEC", "SFD_NONBLOCK")], own);
  keepOn(c);
  lowerAnswering(c);

  b.label("keeper.fail");
  leaveFailure(c);
  b.label("keeper.end");
  b.exit(125);
}

/** Where the step `holdNetworks` has cloned it. */
function lowerAnswering(c: Context): void {
  const { b, memory } = c;
  b.comment("answerer");
  b.label("answerer");
  b.must("close", [h.outside]);
  b.must("prctl", [k("PR_SET_PDEATHSIG"), signo("SIGKILL"), 0, 0, 0]);
  b.comment("wait for the id map; the end of the socket means that the keeper is dead");
  b.must("read", [h.inside, memory.scratch, 1], s.result);
  b.branch(s.result, "ne", 1, "keeper.end");
  lowerSteps(c, "answerer");
  leaveCaller(c);
  rename(c, "sbx-names");
  b.must("sendto", [h.inside, b.text("!"), 1, k("MSG_NOSIGNAL"), 0, 0]);
  closeFrom(c, 3, 0xffffffff);
  const answering = b.fresh("answering");
  b.label(answering);
  b.must("ppoll", [0, 0, 0, 0, 8]);
  b.jump(answering);
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
  b.branch(pid, "gt", 0, "keeper.reap");
  b.label(noSignal);
  happened(1, noClient);
  serve(c, noClient);
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

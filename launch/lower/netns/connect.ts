/** The sandbox's own way out, from the start of its helper to its end: launch/lower/netns/uplink.ts starts it. */
import type { Uplink, UplinkPiece } from "../../../spec/actions/uplink.js";
import { at, slot } from "../../machine/builder.js";
import { k, signo } from "../../machine/constants.js";
import type { Slot } from "../../machine/ir.js";
import { type Context, s } from "../context.js";
import { leaveGuard } from "../guard.js";
import { releaseInit } from "../handshake.js";
import { sayLine } from "../payload/terminal.js";
import { events, type PollTable } from "../poll.js";
import { pseudoErrno } from "../pseudo-errno.js";
import { blame } from "../shared.js";
import { tellStatus } from "../text/report.js";
import { compose, textLength } from "../text/text.js";
import { closePorts } from "./ports.js";
import { composeWord, dismissAnchor, pieceOf, startUplink, uplink, uplinkOf } from "./uplink.js";

const isReady = slot("uplinkIsReady");
/** 1 once it has ended before its time, 2 when that has been told. */
const isLost = slot("uplinkIsLost");

/** Before any step. */
export function connectState(c: Context): void {
  const { b } = c;
  b.set(uplink.ready, -1);
  if (uplinkOf(c) === undefined) return;
  const numbers = [uplink.pid, uplink.anchor, uplink.starter, isReady, isLost];
  for (const number of numbers) b.set(number, 0);
  b.set(uplink.said, -1);
}

/** In the monitor: the step itself. */
export function connect(c: Context, action: Uplink): void {
  const leave = () => {
    leaveGuard(c);
    closePorts(c);
    for (const fd of [s.releaseWrite, s.controlOutside, s.signalFd]) c.b.must("close", [fd]);
  };
  startUplink(c, action, s.initPid, { leave, failTo: "monitor.fail" });
}

/** In a process that stays beside the monitor, if it was cloned after the step: only the monitor is to be waited for. */
export function leaveUplink(c: Context): void {
  if (uplinkOf(c) !== undefined) c.b.must("close", [uplink.aliveWrite]);
}

export function watchUplink(poll: PollTable): void {
  poll.watch("uplink", uplink.ready, k("POLLIN"));
}

/** After the wait: it is ready, or has ended, which its status tells of. */
export function takeUplink(c: Context, poll: PollTable): void {
  const action = uplinkOf(c);
  if (action === undefined) return;
  const { b, memory } = c;
  const end = b.fresh("connect");
  poll.happened("uplink");
  b.branch(events, "eq", 0, end);
  b.attempt("read", [uplink.ready, memory.scratch, 64], s.result);
  b.ignore("it is ours", "close", [uplink.ready]);
  b.set(uplink.ready, -1);
  b.branch(s.result, "le", 0, end);
  b.set(isReady, 1);
  closePorts(c);
  if (action.socket !== null) askForPorts(c, action, action.socket, end);
  dismissAnchor(c);
  releaseInit(c);
  b.label(end);
}

/** Goes to `gaveUp` where one is refused. Each request has a connection of its own: slirp4netns(1), "API SOCKET". */
function askForPorts(
  c: Context,
  { requests }: Uplink,
  socket: readonly UplinkPiece[],
  gaveUp: string,
): void {
  const { b, memory } = c;
  const refused = b.fresh("connect");
  const all = b.fresh("connect");
  const fd = slot("uplinkSocket");
  const address = b.buffer("uplinkAddress", 112);
  const size = slot("uplinkAddressSize");
  const path = at(address, 2);
  b.failTo(refused);
  b.store(1, address, 0, k("AF_UNIX"));
  compose(
    c,
    socket.map((piece) => pieceOf(c, piece)),
    path,
  );
  b.alu("add", size, textLength, 3);
  for (const request of requests) {
    b.must("socket", [k("AF_UNIX"), k("SOCK_STREAM", "SOCK_CLOEXEC"), 0], fd);
    b.must("connect", [fd, address, size]);
    const done = b.fresh("connect");
    const text = composeWord(c, request);
    // Of a word without numbers the length is known.
    compose(c, [text]);
    b.must("sendto", [fd, memory.text, textLength, k("MSG_NOSIGNAL"), 0, 0]);
    b.must("shutdown", [fd, k("SHUT_WR")]);
    b.must("read", [fd, memory.scratch, 1024], s.result);
    b.must("close", [fd]);
    // {"return": … or {"error": …
    b.load(1, s.result, memory.scratch, 2);
    b.branch(s.result, "eq", "r".charCodeAt(0), done);
    b.set(s.errno, pseudoErrno.portRefused);
    b.fail();
    b.label(done);
  }
  b.jump(all);
  b.label(refused);
  blame(c, "startUplink", s.errno);
  b.jump(gaveUp);
  b.label(all);
  b.failTo("monitor.fail");
}

/** In the monitor, for a child that has ended. */
export function checkUplink(c: Context, pid: Slot): void {
  if (uplinkOf(c) === undefined) return;
  const { b } = c;
  const other = b.fresh("connect");
  const notAnchor = b.fresh("connect");
  const late = b.fresh("connect");
  b.branch(pid, "ne", uplink.anchor, notAnchor);
  b.set(uplink.anchor, 0);
  b.label(notAnchor);
  b.branch(pid, "ne", uplink.pid, other);
  b.set(uplink.pid, 0);
  b.branch(isReady, "ne", 0, late);
  blame(c, "startUplink", pseudoErrno.uplinkEnded);
  b.jump(other);
  b.label(late);
  b.set(isLost, 1);
  b.label(other);
}

/** Once all that have ended are known, and the init is not among them: with it, the helper may end as well. */
export function tellOfUplink(c: Context): void {
  const action = uplinkOf(c);
  if (action === undefined) return;
  const { b } = c;
  const end = b.fresh("connect");
  b.branch(isLost, "ne", 1, end);
  b.set(isLost, 2);
  sayLine(c, [
    b.text(`sbx: ${action.helper}: it has ended, and the sandbox goes on without its network`),
  ]);
  tellStatus(c, [`{"event":"uplink","helper":"${action.helper}","state":"ended"}`]);
  b.label(end);
}

/** In the monitor, at the end: nothing is left when it has ended. */
export function endUplink(c: Context): void {
  if (uplinkOf(c) === undefined) return;
  const { b, memory } = c;
  for (const pid of [uplink.anchor, uplink.pid]) {
    const none = b.fresh("connect");
    b.branch(pid, "eq", 0, none);
    b.ignore("it may have died by itself", "kill", [pid, signo("SIGKILL")]);
    b.ignore("it is our child", "wait4", [pid, memory.status, 0, 0]);
    b.label(none);
  }
}

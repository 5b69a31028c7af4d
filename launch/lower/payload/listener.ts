/**
 * The listener of a filter that asks (SCMP_ACT_NOTIFY): its way from the payload to who answers.
 *
 * The filter that makes it may cover every call that could send it. So the payload makes no call
 * after that: a messenger, which is not filtered and has the same open files, sends the listener to the
 * monitor, which knows what the socket outside is to be told.
 */
import { errnoNumbers } from "../../../spec/linux.js";
import type { ActionOf } from "../../../spec/step.js";
import { slot } from "../../machine/builder.js";
import { childFlags, k, signo } from "../../machine/constants.js";
import type { Slot } from "../../machine/ir.js";
import { actionOf, type Context, recordSize, s, stepOf } from "../context.js";
import { message } from "../messages.js";
import { attachFds, messageHeader, sendFd } from "../rights.js";
import { getShared, leaveFailure, putShared } from "../shared.js";
import { compose, textLength } from "../text/text.js";

const payload = slot("ownPid");
const pid = slot("messengerPid");
const fd = slot("listenerFd");

/** In the payload, before the filter. */
export function startMessenger(c: Context): void {
  const { b, plan } = c;
  const started = b.fresh("messenger");
  const look = b.fresh("messenger");
  const made = b.fresh("messenger");
  b.must("getpid", [], payload);
  // A child of the init, which reaps it, where there is one.
  const flags = childFlags("CLONE_FILES", ...(plan.init ? (["CLONE_PARENT"] as const) : []));
  b.must("clone", [flags, 0, 0, 0, 0], pid);
  b.branch(pid, "ne", 0, started);

  b.comment("the messenger");
  b.failTo("messenger.fail");
  b.must("prctl", [k("PR_SET_PDEATHSIG"), signo("SIGKILL"), 0, 0, 0]);
  b.label(look);
  getShared(c, "listener", fd);
  b.branch(fd, "ne", 0, made);
  const pause = b.words("messengerPause", [0, 50_000], false);
  b.ignore("then it looks again sooner", "nanosleep", [pause, 0]);
  b.jump(look);
  b.label(made);
  // The owner of an open file is a process, whatever its number is to whom: so the monitor learns it.
  b.must("fcntl", [fd, k("F_SETOWN"), payload]);
  sendFd(c, "listener", fd);
  b.must("recvfrom", [s.controlInside, c.memory.record, recordSize, 0, 0, 0]);
  putShared(c, "handedOn", 1);
  b.exit(0);
  b.label("messenger.fail");
  b.ignore("it is dead then", "kill", [payload, signo("SIGKILL")]);
  b.jump("inside.fail");
  b.label(started);
  b.failTo("inside.fail");
}

/** In the payload, under the filter: no call is sure to be let through, so it waits without one. */
export function awaitHandOver(c: Context, listener: Slot): void {
  const { b } = c;
  const wait = b.fresh("handOver");
  putShared(c, "listener", listener);
  b.label(wait);
  getShared(c, "handedOn", s.result);
  b.branch(s.result, "eq", 0, wait);
}

/** In the monitor, part of a subroutine: the step itself, for a listener that it has received. */
export function handListener(c: Context, listener: Slot): void {
  const { b, memory } = c;
  const action = actionOf(c, "handListener");
  if (action === undefined) return;
  const end = b.fresh("handListener");
  const refused = b.fresh("handListener");
  const socket = slot("agentSocket");
  const owner = slot("payloadPid");
  const sent = slot("sentBytes");
  b.failTo(refused);
  b.must("fcntl", [listener, k("F_GETOWN")], owner);
  b.must("socket", [k("AF_UNIX"), k("SOCK_STREAM", "SOCK_CLOEXEC"), 0], socket);
  // struct timeval: an agent that does not take connections must not hold all up for ever.
  const limit = b.words("agentTimeout", [5, 0], false);
  b.must("setsockopt", [socket, k("SOL_SOCKET"), k("SO_SNDTIMEO"), limit, 16]);
  const address = socketAddress(action.path);
  b.must("connect", [socket, b.bytes("agentAddress", address), address.length]);
  const rest = stateTail(action);
  compose(c, [
    b.text('{"pid":'),
    { decimal: owner },
    b.text(',"state":{"pid":'),
    { decimal: owner },
    b.text(',"id":"sbx-'),
    { decimal: owner },
  ]);
  const state = b.bytes("containerState", rest);
  const header = messageHeader(
    c,
    [
      [memory.text, textLength],
      [state, rest.length],
    ],
    1,
  );
  attachFds(c, [listener]);
  b.must("sendmsg", [socket, header, k("MSG_NOSIGNAL")], sent);
  // Time may have been up with a part of it.
  b.alu("sub", sent, sent, textLength);
  b.set(s.errno, Number(errnoNumbers.EAGAIN));
  b.branch(sent, "ne", rest.length, refused);
  b.must("close", [socket]);
  b.must("close", [listener]);
  b.store(8, memory.record, 0, message.listener);
  b.must("sendto", [s.controlOutside, memory.record, recordSize, k("MSG_NOSIGNAL"), 0, 0]);
  b.jump(end);
  b.label(refused);
  b.set(s.step, stepOf(c, "handListener"));
  leaveFailure(c);
  b.ignore("it has just died", "kill", [s.initPid, signo("SIGKILL")]);
  b.label(end);
  b.failTo("monitor.fail");
}

/** struct sockaddr_un, unix(7): the family in two bytes, the path and a NUL. */
export function socketAddress(path: string): Uint8Array {
  return Buffer.concat([Uint8Array.of(1, 0), Buffer.from(`${path}\0`)]);
}

/** The container process state of the runtime-spec's config-linux.md, behind what `compose` began. */
function stateTail(action: ActionOf<"handListener">): Uint8Array {
  const { ociVersion, metadata, bundle } = action;
  const state = JSON.stringify({ ociVersion, status: "creating", bundle }).slice(1);
  const outer = { ociVersion, fds: ["seccompFd"], ...(metadata === null ? {} : { metadata }) };
  return Buffer.from(`",${state},${JSON.stringify(outer).slice(1)}`);
}

/**
 * The monitor once the init is released: one ppoll loop over signals, the control socket and, with
 * a terminal, the two directions of the relay; then the end: the rest of the output, the terminal
 * as it was, the report and the exit status.
 */
import { slot } from "../machine/builder.js";
import { k, signo } from "../machine/constants.js";
import { type Context, s } from "./context.js";
import { controlState, controlSubroutines } from "./control.js";
import { giveBackInMonitor, giveBackState, waitToGiveBack } from "./give-back.js";
import { clientsState, serveClients } from "./life/attach/clients.js";
import { listenToClients } from "./life/attach/listen.js";
import { enterState, takeEntered, watchEntered } from "./life/enter.js";
import { eventSubroutine } from "./life/event.js";
import { lifeOf } from "./life/life.js";
import { outputState, outputSubroutines, takeOutput, watchOutput } from "./life/output.js";
import { readerState, takeReader, watchReader } from "./life/reader.js";
import { noteStop, ssi } from "./life/restart.js";
import { stateSubroutine } from "./life/state.js";
import { code, finish, initStatus } from "./monitor-end.js";
import { namespacesState } from "./namespaces.js";
import {
  checkUplink,
  connectState,
  takeUplink,
  tellOfUplink,
  watchUplink,
} from "./netns/connect.js";
import { takeHolder, watchHolder } from "./netns/holder.js";
import { portState } from "./netns/ports.js";
import { makeRelay, moveBytes, relaySubroutines, watchRelay } from "./payload/relay.js";
import { t } from "./payload/terminal.js";
import { events, monitorPollTable } from "./poll.js";
import { answerOwners, ownersState, watchListener } from "./rootfs/owners.js";
import { checkServer } from "./rootfs/server.js";

export const signal = slot("signal");
const pid = slot("reapedPid");

/** Of sigaction(2); what a process is told of its fds (F_SETSIG) is between it and SI_USER, which is 0. */
const SI_KERNEL = 0x80;

/** State that `monitorLoop` and the failure path read; to be set before any step can fail. */
export function initialState(c: Context): void {
  const { b, terminal, relays } = c;
  b.set(s.initPid, 0);
  b.set(initStatus, 0);
  controlState(c);
  enterState(c);
  readerState(c);
  namespacesState(c);
  ownersState(c);
  connectState(c);
  portState(c);
  outputState(c);
  clientsState(c);
  if (!terminal) return;
  b.set(s.terminalFd, -1);
  b.set(t.ptyFd, -1);
  if (!relays) return;
  b.set(t.isRaw, 0);
  b.set(t.foreground, 1);
  b.set(t.isUnmodelled, 0);
}

/** Also holds the subroutines that only the monitor calls. */
export function monitorLoop(c: Context): void {
  const { b, memory } = c;
  const timeout = slot("timeout");
  b.failTo("monitor.fail");
  const poll = monitorPollTable(c);
  const relay = c.relays ? makeRelay(c) : null;
  const life = lifeOf(c);
  if (life !== undefined) listenToClients(c);
  giveBackState(c);
  b.label("monitor.loop");
  b.set(timeout, 0);
  poll.watch("signal", s.signalFd, k("POLLIN"));
  poll.watch("control", s.controlOutside, k("POLLIN"));
  watchListener(poll);
  watchUplink(poll);
  watchHolder(poll);
  watchEntered(c, poll);
  watchReader(c, poll);
  if (relay !== null) watchRelay(c, relay, poll, timeout);
  if (life !== undefined) watchOutput(c, poll, timeout);
  waitToGiveBack(c, timeout);
  poll.wait(timeout, s.result);
  giveBackInMonitor(c, s.result);

  const noControl = b.fresh("poll");
  poll.happened("control");
  b.branch(events, "eq", 0, noControl);
  b.call("control.receive");
  b.label(noControl);
  if (relay !== null) moveBytes(c, relay, poll);
  if (life !== undefined) {
    serveClients(c, poll);
    takeOutput(c, poll);
  }
  answerOwners(c, poll);
  takeUplink(c, poll);
  takeHolder(c, poll);
  takeEntered(c, poll);
  takeReader(c, poll);
  poll.happened("signal");
  b.branch(events, "eq", 0, "monitor.loop");
  b.ignore("it was ready", "read", [s.signalFd, memory.signal, 128]);
  handleSignal(c);

  finish(c, relay);
  controlSubroutines(c);
  if (relay !== null) relaySubroutines(c, relay);
  if (life !== undefined) {
    outputSubroutines(c);
    stateSubroutine(c);
    eventSubroutine(c);
  }
}

/** Goes on behind the code it makes once the init has ended; else back to the loop. */
function handleSignal(c: Context): void {
  const { b, memory } = c;
  b.load(4, signal, memory.signal);
  b.branch(signal, "eq", signo("SIGCHLD"), "monitor.reap");
  for (const own of ["SIGPIPE", "SIGTTIN", "SIGTTOU"]) {
    b.branch(signal, "eq", signo(own), "monitor.loop");
  }
  if (lifeOf(c) !== undefined) {
    // A log that grows beyond the limit of file sizes.
    b.branch(signal, "eq", signo("SIGXFSZ"), "monitor.loop");
    noteStop(c, "monitor.loop");
  }
  if (c.relays) {
    const notResized = b.fresh("signal");
    b.branch(signal, "ne", signo("SIGWINCH"), notResized);
    // Without a pty of its own the payload may be looking at the caller's terminal.
    b.branch(t.ptyFd, "lt", 0, notResized);
    b.call("terminal.resize");
    b.jump("monitor.loop");
    b.label(notResized);
  }
  if (lifeOf(c) === undefined) {
    const passedOn = b.fresh("signal");
    b.branch(signal, "ne", signo("SIGCONT"), passedOn);
    if (c.relays) b.call("terminal.enter");
    b.comment(
      "what wakes us alone (F_SETSIG), for somebody may have stopped the payload again by now",
    );
    b.load(4, code, memory.signal, ssi.code);
    b.branch(code, "le", 0, passedOn);
    b.branch(code, "lt", SI_KERNEL, "monitor.loop");
    b.label(passedOn);
  }
  b.ignore("it has just died", "kill", [s.initPid, signal]);
  b.jump("monitor.loop");

  b.label("monitor.reap");
  b.attempt("wait4", [-1, memory.status, k("WNOHANG"), 0], pid);
  const someone = b.fresh("reap");
  b.branch(pid, "gt", 0, someone);
  tellOfUplink(c);
  b.jump("monitor.loop");
  b.label(someone);
  checkServer(c, pid);
  checkUplink(c, pid);
  b.branch(pid, "ne", s.initPid, "monitor.reap");
  b.load(4, initStatus, memory.status);
}

/**
 * The payload's terminal: a pty of the sandbox's own devpts, so that nothing inside holds the
 * caller's terminal (and could type into it, TIOCSTI). The init opens it and sends the outer side to
 * the monitor, which relays bytes, keeps the caller's terminal in raw mode meanwhile, and follows
 * its window size.
 */
import type { ActionOf } from "../../../spec/step.js";
import { constant, slot } from "../../machine/builder.js";
import { k, noFollow, openLink } from "../../machine/constants.js";
import type { Slot } from "../../machine/ir.js";
import { type Context, regularFile, s } from "../context.js";
import { pseudoErrno } from "../pseudo-errno.js";
import { sendFd } from "../rights.js";
import { append, compose, type Piece, writeText } from "../text/text.js";

/** Bytes of the kernel's struct termios: four words of flags, c_line, c_cc[19]. */
const termiosSize = 36;
const flagOffset = { input: 0, output: 4, control: 8, local: 12 } as const;
const controlCharacters = 17;
/** Indices into c_cc, asm-generic/termbits.h. */
const VTIME = 5;
const VMIN = 6;
/** DEVPTS_SUPER_MAGIC of linux/magic.h. */
const devptsMagic = 0x1cd1;

/** The monitor's state; buffers are made once, by `terminalMemory`. */
export const t = {
  /** The pty's outer side, or -1. */
  ptyFd: slot("ptyFd"),
  /** 1 while the caller's terminal is in raw mode. */
  isRaw: slot("isRaw"),
  /** 1 while the monitor is in the terminal's foreground process group, or there is none. */
  foreground: slot("foreground"),
  /** 1 where the pty was opened in the background, when the caller's shell had the terminal as it likes. */
  isUnmodelled: slot("isUnmodelled"),
} as const;

export interface TerminalMemory {
  readonly saved: ReturnType<Context["b"]["buffer"]>;
  readonly raw: ReturnType<Context["b"]["buffer"]>;
  readonly size: ReturnType<Context["b"]["buffer"]>;
  readonly group: ReturnType<Context["b"]["buffer"]>;
}

/** One line on stderr while the sandbox runs, which a terminal in raw mode shows as one as well. */
export function sayLine(c: Context, pieces: readonly Piece[]): void {
  const { b } = c;
  compose(c, pieces);
  if (c.relays) {
    const cooked = b.fresh("line");
    b.branch(t.isRaw, "eq", 0, cooked);
    append(c, [b.text("\r")]);
    b.label(cooked);
  }
  append(c, [b.text("\n")]);
  writeText(c, 2);
}

export function terminalMemory({ b }: Context): TerminalMemory {
  return {
    saved: b.buffer("termios", 64),
    raw: b.buffer("rawTermios", 64),
    size: b.buffer("windowSize", 8),
    group: b.buffer("processGroup", 8),
  };
}

/** In the monitor, before the clone: whether the payload is to have a terminal. */
export function detectTerminal(c: Context, when: "auto" | "always"): void {
  const { b, memory } = c;
  if (!c.relays) {
    b.comment("all of the payload's is on its terminal, whatever the caller has");
    b.set(s.wantsTerminal, 1);
    b.set(s.stdinIsTerminal, 0);
    b.set(s.stderrIsTerminal, 1);
    return;
  }
  const decided = b.fresh("terminal");
  const isTerminal = (fd: number, to: typeof s.stdinIsTerminal) => {
    const not = b.fresh("noTerminal");
    b.set(to, 0);
    b.orElse(not, "ioctl", [fd, k("TCGETS"), memory.scratch]);
    b.set(to, 1);
    b.label(not);
  };
  isTerminal(0, s.stdinIsTerminal);
  isTerminal(2, s.stderrIsTerminal);
  b.set(s.wantsTerminal, 1);
  if (when === "auto") {
    const stdoutIsTerminal = slot("stdoutIsTerminal");
    isTerminal(1, stdoutIsTerminal);
    b.alu("and", s.wantsTerminal, s.stdinIsTerminal, stdoutIsTerminal);
  }
  b.label(decided);
}

/** In the init: the step itself. Leaves the inner side in `terminalFd`. */
export function openTerminal(c: Context, { uid, pts, console }: ActionOf<"openTerminal">): void {
  const { b, memory } = c;
  const end = b.fresh("terminal");
  const outer = slot("outerFd");
  b.branch(s.wantsTerminal, "eq", 0, end);
  if (pts === null) {
    openForeign(c, outer);
  } else {
    const path = b.text(`${pts}/ptmx`);
    b.must("openat", [k("AT_FDCWD"), path, k("O_RDWR", "O_NOCTTY", "O_CLOEXEC"), 0], outer);
  }
  b.store(8, memory.scratch, 0, 0);
  b.must("ioctl", [outer, k("TIOCSPTLCK"), memory.scratch]);
  b.must("ioctl", [outer, k("TIOCGPTPEER"), k("O_RDWR", "O_NOCTTY", "O_CLOEXEC")], s.terminalFd);
  const noModel = b.fresh("terminal");
  b.orElse(noModel, "ioctl", [0, k("TCGETS"), memory.scratch]);
  b.must("ioctl", [s.terminalFd, k("TCSETS"), memory.scratch]);
  b.orElse(noModel, "ioctl", [0, k("TIOCGWINSZ"), memory.scratch]);
  b.must("ioctl", [s.terminalFd, k("TIOCSWINSZ"), memory.scratch]);
  b.label(noModel);
  b.must("fchown", [s.terminalFd, uid, -1]);
  b.must("ioctl", [s.terminalFd, k("TIOCSCTTY"), 0]);
  if (console !== null) {
    b.must("mknodat", [k("AT_FDCWD"), b.text(console), regularFile(0o600), 0]);
    b.must("mount", [b.text(`${pts}/0`), b.text(console), 0, k("MS_BIND"), 0]);
  }
  sendFd(c, "terminal", outer);
  b.must("close", [outer]);
  b.label(end);
}

/** /dev/pts/ptmx of a sandbox that may have put anything in its place: no link is followed. */
function openForeign({ b, memory }: Context, outer: Slot): void {
  const terminals = b.fresh("terminal");
  b.must("openat", [s.rootFd, b.text("dev"), openLink, 0], outer);
  const directory = slot("ptsFd");
  b.must("openat", [outer, b.text("pts"), openLink, 0], directory);
  b.must("close", [outer]);
  b.must("fstatfs", [directory, memory.scratch]);
  b.load(8, s.result, memory.scratch);
  b.branch(s.result, "eq", devptsMagic, terminals);
  b.set(s.errno, pseudoErrno.notTerminals);
  b.fail();
  b.label(terminals);
  const flags = noFollow("O_RDWR", "O_NOCTTY", "O_NONBLOCK", "O_CLOEXEC");
  b.must("openat", [directory, b.text("ptmx"), flags, 0], outer);
  b.must("close", [directory]);
}

/** In the payload: the terminal as stdin, stdout and, where the caller's is one, stderr. */
export function adoptTerminal({ b, memory }: Context, ownGroup: boolean): void {
  const end = b.fresh("adopted");
  const keepStderr = b.fresh("adopted");
  const pid = slot("ownPid");
  b.branch(s.terminalFd, "lt", 0, end);
  if (ownGroup) {
    b.must("getpid", [], pid);
    b.store(4, memory.scratch, 0, pid);
    b.must("ioctl", [s.terminalFd, k("TIOCSPGRP"), memory.scratch]);
  }
  b.must("dup3", [s.terminalFd, 0, 0]);
  b.must("dup3", [s.terminalFd, 1, 0]);
  b.branch(s.stderrIsTerminal, "eq", 0, keepStderr);
  b.must("dup3", [s.terminalFd, 2, 0]);
  b.label(keepStderr);
  b.label(end);
}

/** In the monitor: takes the pty over, and goes into raw mode. */
export function takeTerminal({ b, relays }: Context, fd: typeof t.ptyFd): void {
  b.set(t.ptyFd, fd);
  b.ignore("a blocking relay still relays", "fcntl", [
    t.ptyFd,
    k("F_SETFL"),
    k("O_RDWR", "O_NONBLOCK"),
  ]);
  if (!relays) {
    b.call("clients.resize");
    return;
  }
  b.call("terminal.enter");
  b.alu("sub", t.isUnmodelled, 1, t.foreground);
}

/** `resize` makes the size in `memory.size`, which is the terminal's, known to whom it concerns. */
export function terminalSubroutines(
  { b }: Context,
  memory: TerminalMemory,
  resize = () => b.ignore("a size is a courtesy", "ioctl", [t.ptyFd, k("TIOCSWINSZ"), memory.size]),
): void {
  const group = slot("foregroundGroup");
  const own = slot("ownGroup");
  const flags = slot("termFlags");

  b.comment("raw mode and window size, if the terminal is ours to set");
  b.label("terminal.enter");
  b.branch(t.ptyFd, "lt", 0, "terminal.enter.end");
  b.branch(s.stdinIsTerminal, "eq", 0, "terminal.enter.end");
  b.set(t.foreground, 1);
  b.orElse("terminal.enter.owned", "ioctl", [0, k("TIOCGPGRP"), memory.group]);
  b.load(4, group, memory.group);
  b.ignore("getpgid(0) does not fail", "getpgid", [0], own);
  b.branch(group, "eq", own, "terminal.enter.owned");
  b.set(t.foreground, 0);
  b.return();
  b.label("terminal.enter.owned");
  b.branch(t.isRaw, "ne", 0, "terminal.enter.saved");
  b.orElse("terminal.enter.end", "ioctl", [0, k("TCGETS"), memory.saved]);
  b.branch(t.isUnmodelled, "eq", 0, "terminal.enter.saved");
  b.ignore("a mode is a courtesy", "ioctl", [t.ptyFd, k("TCSETS"), memory.saved]);
  b.set(t.isUnmodelled, 0);
  b.label("terminal.enter.saved");
  // As cfmakeraw(3).
  for (let offset = 0; offset < termiosSize; offset += 4) {
    b.load(4, flags, memory.saved, offset);
    b.store(4, memory.raw, offset, flags);
  }
  const mask = (offset: number, clear: number, set: number) => {
    b.load(4, flags, memory.raw, offset);
    b.alu("and", flags, flags, constant(`~0${clear.toString(8)}`, 0xffffffffn & ~BigInt(clear)));
    if (set !== 0) b.alu("or", flags, flags, set);
    b.store(4, memory.raw, offset, flags);
  };
  mask(flagOffset.input, 0o2753, 0); // IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON
  mask(flagOffset.output, 0o1, 0); // OPOST
  mask(flagOffset.control, 0o460, 0o60); // CSIZE PARENB, CS8
  mask(flagOffset.local, 0o100113, 0); // ISIG ICANON ECHO ECHONL IEXTEN
  b.store(1, memory.raw, controlCharacters + VTIME, 0);
  b.store(1, memory.raw, controlCharacters + VMIN, 1);
  b.orElse("terminal.enter.end", "ioctl", [0, k("TCSETS"), memory.raw]);
  b.set(t.isRaw, 1);
  b.call("terminal.resize");
  b.label("terminal.enter.end");
  b.return();

  b.comment("the terminal as the caller had it");
  b.label("terminal.leave");
  b.branch(t.isRaw, "eq", 0, "terminal.leave.end");
  b.ignore("a terminal that hung up needs no mode", "ioctl", [0, k("TCSETS"), memory.saved]);
  b.set(t.isRaw, 0);
  b.label("terminal.leave.end");
  b.return();

  b.comment("the window size of the caller's terminal");
  b.label("terminal.resize");
  b.branch(t.ptyFd, "lt", 0, "terminal.resize.end");
  b.orElse("terminal.resize.end", "ioctl", [0, k("TIOCGWINSZ"), memory.size]);
  resize();
  b.label("terminal.resize.end");
  b.return();
}

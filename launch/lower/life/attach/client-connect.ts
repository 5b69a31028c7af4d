/** How a client gets its socket to the monitor of a sandbox in the background. */
import type { ActionOf } from "../../../../spec/step.js";
import { slot } from "../../../machine/builder.js";
import { k, signo } from "../../../machine/constants.js";
import { type Context, s } from "../../context.js";
import { unblockSignals } from "../../signals.js";
import { composeAddress } from "./messages.js";

/** The socket to the monitor. */
export const socket = slot("clientSocket");
/** Of `sbx start -a`: the program of the sandbox, 0 where there is none. */
export const started = slot("startedPid");

/** The step: the sandbox is running. */
export function connectSandbox(c: Context, { directory }: ActionOf<"connectSandbox">) {
  const { b, memory } = c;
  const place = slot("clientDirectory");
  const flags = k("O_PATH", "O_CLOEXEC");
  b.must("openat", [k("AT_FDCWD"), b.text(directory), flags, 0], place);
  b.must("socket", [k("AF_UNIX"), k("SOCK_SEQPACKET", "SOCK_CLOEXEC"), 0], socket);
  b.must("connect", [socket, memory.scratch, composeAddress(c, place)]);
  b.must("close", [place]);
}

/** The step: its program starts the sandbox, and has the socket as its standard input. */
export function startSandbox(c: Context, { program }: ActionOf<"startSandbox">) {
  const { b, memory } = c;
  const parent = b.fresh("start");
  const other = slot("otherSocket");
  b.must("socketpair", [k("AF_UNIX"), k("SOCK_SEQPACKET", "SOCK_CLOEXEC"), 0, memory.pair]);
  b.load(4, socket, memory.pair);
  b.load(4, other, memory.pair, 4);
  b.must("clone", [signo("SIGCHLD"), 0, 0, 0, 0], started);
  b.branch(started, "ne", 0, parent);
  b.must("dup3", [other, 0, 0]);
  b.must("openat", [k("AT_FDCWD"), b.text("/dev/null"), k("O_RDWR", "O_CLOEXEC"), 0], other);
  b.must("dup3", [other, 1, 0]);
  unblockSignals(c);
  const path = b.text(program);
  b.must("execve", [path, b.words("startArguments", [path, 0], false), s.envp]);
  b.label(parent);
  b.must("close", [other]);
}

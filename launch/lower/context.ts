/**
 * What all parts of a compiled program share: the pen, the plan, and the slots and buffers by name.
 * A cloned process has its own copy of every slot and buffer.
 */
import type { Plan } from "../../spec/plan.js";
import type { Action, ActionOf } from "../../spec/step.js";
import { type Builder, builder, constant, slot } from "../machine/builder.js";
import type { Address } from "../machine/ir.js";
import type { Again } from "./again.js";

type Optional = "file.type" | "message.header" | "netlink.copy" | "netlink.ask" | "network.hex";

export interface Context {
  readonly b: Builder;
  readonly plan: Plan;
  /** Null where the program is not one of the cache; `directory` is room for a path of `pathSize` bytes. */
  readonly again: (Again & { readonly directory: Address }) | null;
  /** Whether the plan may open a terminal. */
  readonly terminal: boolean;
  /** Whether that is shown on the caller's terminal. */
  readonly relays: boolean;
  /** Whether a janitor is needed to remove a throw-away upper. */
  readonly janitor: boolean;
  /** Whether anything removes a directory with all that is in it. */
  readonly removesTrees: boolean;
  readonly memory: Memory;
  /** Directories that are there, by what was lowered so far. */
  readonly known: Set<string>;
  /** Subroutines that not every program has, by what was lowered so far. */
  readonly called: Set<Optional>;
}

/** Buffers; sizes in bytes. */
export interface Memory {
  /** sigset_t with every signal, and the caller's own. */
  readonly allSignals: Address;
  readonly callerSignals: Address;
  /** Two fds, as pipe2 and socketpair give them. */
  readonly pair: Address;
  /** One message of the control socket: kind, value. */
  readonly record: Address;
  /** A text being put together. */
  readonly text: Address;
  /** The name of a fd. */
  readonly name: Address;
  readonly digits: Address;
  /** siginfo_t or signalfd_siginfo: 128 bytes. */
  readonly signal: Address;
  readonly status: Address;
  readonly scratch: Address;
  /** A netlink message whose holes are filled in. */
  readonly request: Address;
  /** The absolute path of the throw-away uppers' directory. */
  readonly storePath: Address;
  /** Directory entries, as getdents64(2) gives them. */
  readonly entries: Address;
  /** The path of the control group that the sandbox's is in. */
  readonly cgroupPath: Address;
  /** A dot, and the sandbox's id: launch/lower/text/id.ts. */
  readonly dottedId: Address;
  /** `recordText`; in pages of its own, to be given back. */
  readonly recordText: Address;
}

/** PATH_MAX of linux/limits.h. */
export const pathSize = 4096;
export const textSize = 4096;
export const scratchSize = 4096;
export const requestSize = 512;
/** Bytes of a control message: two words. */
export const recordSize = 16;

/** Slots that more than one part uses. */
export const s = {
  /** The step at hand, for the report of its failure. */
  step: slot("step"),
  errno: slot("errno"),
  argc: slot("argc"),
  argv: slot("argv"),
  envp: slot("envp"),
  /** The init in the monitor's view; 0 before the clone. */
  initPid: slot("initPid"),
  /** The two ends of the socket on which the inside reports to the monitor. */
  controlOutside: slot("controlOutside"),
  controlInside: slot("controlInside"),
  /** The pipe that releases the init, and whose write end the monitor holds for life. */
  releaseRead: slot("releaseRead"),
  releaseWrite: slot("releaseWrite"),
  signalFd: slot("signalFd"),
  /** The sandbox's control group; -1 where there is none yet. */
  cgroupFd: slot("cgroupFd"),
  /** A user namespace of others', while it is to be entered. */
  joinedUser: slot("joinedUser"),
  /** The new root, in which paths of the sandbox are looked up. */
  rootFd: slot("rootFd"),
  result: slot("result"),
  /** What the payload's umask will be; the init's own is 0. */
  payloadUmask: slot("payloadUmask"),
  /** 1 where the payload gets a pty. */
  wantsTerminal: slot("wantsTerminal"),
  stdinIsTerminal: slot("stdinIsTerminal"),
  stderrIsTerminal: slot("stderrIsTerminal"),
  /** The sandbox's side of the pty, or -1. */
  terminalFd: slot("terminalFd"),
  /** A pipe with what systemd said of the scope. */
  scopeSaid: slot("scopeSaid"),
  /** The pipe that fuse-overlayfs writes its messages to. */
  serverSaid: slot("serverSaid"),
  /** The same of pasta or slirp4netns. */
  uplinkSaid: slot("uplinkSaid"),
} as const;

export function context(plan: Plan, again: Again | null = null): Context {
  const b = builder();
  const has = (kind: Action["kind"]) => plan.steps.some(({ action }) => action.kind === kind);
  const [janitor, terminal] = [has("makeUpperStore"), has("openTerminal")];
  const removesTrees =
    janitor ||
    plan.steps.some(
      ({ action }) =>
        action.kind === "detach" && (action.removeAtEnd || action.start?.isNew === true),
    );
  const cgroup = has("makeCgroup");
  return {
    b,
    plan,
    again: again && { ...again, directory: b.buffer("callersDirectory", pathSize) },
    terminal,
    relays: terminal && !has("detach"),
    janitor,
    removesTrees,
    known: new Set(),
    called: new Set(),
    memory: {
      allSignals: b.buffer("allSignals", 8),
      callerSignals: b.buffer("callerSignals", 8),
      pair: b.buffer("pair", 8),
      record: b.buffer("record", recordSize),
      text: b.buffer("text", textSize),
      name: b.buffer("name", textSize),
      digits: b.buffer("digits", 32),
      signal: b.buffer("signal", 128),
      status: b.buffer("status", 8),
      scratch: b.buffer("scratch", scratchSize),
      request: b.buffer("netlinkRequest", requestSize),
      storePath: b.buffer("storePath", janitor ? textSize : 1),
      entries: b.buffer("entries", removesTrees ? scratchSize : 1),
      cgroupPath: b.buffer("cgroupPath", cgroup ? textSize : 1),
      dottedId: b.buffer("dottedId", 16),
      recordText: b.buffer("recordText", recordRoom(plan)),
    },
  };
}

/** The end of the record, which is known before: launch/lower/record/record.ts. */
export const recordText = (known: string): string => `${known}}\n`;

/** Bytes for it; 1 where there is no record. */
export function recordRoom(plan: Plan): number {
  const action = actionOf({ plan }, "keepRecord");
  if (action === undefined) return 1;
  return Math.max(pathSize, Buffer.byteLength(recordText(action.known)));
}

/** The plan's only action of that kind, or its first. */
export function actionOf<K extends Action["kind"]>({ plan }: Pick<Context, "plan">, kind: K) {
  const action = plan.steps.find(({ action }) => action.kind === kind)?.action;
  return action as ActionOf<K> | undefined;
}

/** Its number, -1 where there is none. */
export function stepOf({ plan }: Pick<Context, "plan">, kind: Action["kind"]): number {
  return plan.steps.findIndex(({ action }) => action.kind === kind);
}

/** How many fds from 3 on the payload inherits. */
export function preservedFds(c: Context): number {
  return actionOf(c, "tidyFds")?.preserved ?? 0;
}

/** Calls a subroutine of those that are only there where something calls them. */
export function call({ b, called }: Context, name: Optional): void {
  called.add(name);
  b.call(name);
}

/** Fails as the call whose negative errno is in `result` did. */
export function failWithResult(b: Context["b"]): void {
  b.alu("sub", s.errno, 0, s.result);
  b.fail();
}

export function words64(values: readonly bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values).buffer);
}

export function words32(values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

/** What mknod(2) takes for a regular file, which it makes without opening it. */
export const regularFile = (mode: number) =>
  constant(`S_IFREG|0${mode.toString(8)}`, 0o100000 | mode);

/** A mode or mask, read as such. */
export const octal = (mode: number) => constant(`0${mode.toString(8)}`, mode);

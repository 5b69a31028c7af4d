/** `sbx stop` and `sbx kill`: how running sandboxes are ended, or told something by a signal. */
import {
  stop as endSandbox,
  signal,
  stopSignalOf,
  stopTimeoutMsOf,
} from "../launch/life/ending.js";
import { requireRunning, requireTold, type SandboxView } from "../launch/life/sandboxes.js";
import { fail } from "../spec/error.js";
import { signalNumber } from "../spec/signal.js";
import { liveCommands } from "./options/live.js";
import { parseWords } from "./parse.js";
import { onEach } from "./targets.js";

/** `argv` is what follows `stop`. Both give 0, or 1 where one of the sandboxes could not be had. */
export function stop(argv: readonly string[]): Promise<number> {
  const { flags, words } = parseWords(argv, liveCommands.stop.options);
  const ending = readEnding("stop", flags);
  return onEach("stop", words, flags, async (view) =>
    (await end(view, ending)) ? { action: "stop" } : undefined,
  );
}

/** How sandboxes are ended; what is left out, each of them says itself. */
export interface Ending {
  readonly signal?: number;
  readonly timeoutMs?: number;
}

export function readEnding(
  word: string,
  { signal, time }: { readonly signal?: string | undefined; readonly time?: string | undefined },
): Ending {
  return {
    ...(signal !== undefined && { signal: readSignal(signal, `${word} --signal`) }),
    ...(time !== undefined && { timeoutMs: readTimeout(time, `${word} --time`) }),
  };
}

/** What has ended already is what was wanted: false. */
export async function end(view: SandboxView, { signal, timeoutMs }: Ending): Promise<boolean> {
  requireTold(view);
  const { record } = view;
  if (record === null) return false;
  const own = record.spec;
  await endSandbox(record, signal ?? stopSignalOf(own), timeoutMs ?? stopTimeoutMsOf(own));
  return true;
}

/** Of paused ones too. */
export function kill(argv: readonly string[]): Promise<number> {
  const { flags, words } = parseWords(argv, liveCommands.kill.options);
  const number = readSignal(flags.signal ?? "KILL", "kill --signal");
  return onEach("kill", words, flags, async (view) => {
    await signal(requireRunning(view), number);
    return { action: "kill", attributes: { signal: number } };
  });
}

function readSignal(text: string, option: string): number {
  return (
    signalNumber(text) ??
    fail(`${option} ${text}`, "there is no such signal", "Take a name or number of signal(7)")
  );
}

/** In ms. */
function readTimeout(text: string, option: string): number {
  if (text === "-1") return Number.POSITIVE_INFINITY;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  return fail(`${option} ${text}`, "must be a number of seconds, or -1 for no end");
}

/** Signals by name and by number, as kill(1) takes them. */
import { signalNumbers } from "./linux.js";

/** The kernel's; the C library keeps the first two to itself. */
const realTime = { min: 34, max: 64 };

/**
 * The number of a signal: `TERM`, `SIGTERM`, `15`, `RTMIN+3`, `RTMAX-1`, in letters of either case. Null where
 * there is none of that name.
 */
export function signalNumber(text: string): number | null {
  const name = text.toUpperCase().replace(/^SIG/, "");
  if (/^\d+$/.test(text)) return within(Number(text));
  const [, end, sign, offset = "0"] = /^RT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name) ?? [];
  if (end === "MIN" && sign !== "-") return within(realTime.min + Number(offset), realTime.min);
  if (end === "MAX" && sign !== "+") return within(realTime.max - Number(offset), realTime.min);
  return signalNumbers[`SIG${name}`] ?? null;
}

const within = (number: number, min = 1) =>
  number >= min && number <= realTime.max ? number : null;

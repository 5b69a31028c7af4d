/** `sbx logs`: what kept sandboxes have written, and what they write from now on. */
import * as fs from "node:fs";
import { lockInode } from "../launch/life/kept.js";
import { lockedInodes } from "../launch/life/locks.js";
import { closeLog, type Log, openLog, type Piece, readLog } from "../launch/life/log.js";
import { fail, renderProblem } from "../spec/error.js";
import { watchDirectory } from "./changes.js";
import { createLogPrinter, jsonLogPrinter } from "./log-printer.js";
import { liveCommands } from "./options/live.js";
import { parseWords } from "./parse.js";
import { tryViews } from "./targets.js";
import { readTime } from "./times.js";

interface Source {
  readonly name: string;
  readonly log: Log;
  readonly isRunning: () => boolean;
}

/** `argv` is what follows `logs`. All that there is by now is told in the order of time. */
export async function logs(argv: readonly string[]): Promise<number> {
  const { flags, words } = parseWords(argv, liveCommands.logs.options);
  if (words.length === 0) fail("logs", "no sandbox is named", "The form is sbx logs NAME…");
  const nowMs = Date.now();
  const [since = "", until = "~"] = (["since", "until"] as const).map((name) => {
    const text = flags[name];
    return text === undefined ? undefined : readTime(`--${name}`, text, nowMs);
  });
  const tail = readTail(flags.tail ?? "all");
  const { found, status } = await findLogs(words);
  const sources = found.map((each): Source => ({ ...each, log: openLog(each.directory, tail) }));
  const nameWidth =
    flags.names === true ? Math.max(...sources.map(({ name }) => name.length)) : null;
  const timestamps = flags.timestamps === true;
  const printer =
    flags.json === true ? jsonLogPrinter : createLogPrinter({ nameWidth, timestamps });
  const show = (name: string, piece: Piece) => {
    if (piece.time >= since && piece.time <= until) printer.print(name, piece);
  };
  for (const [name, piece] of inOrder(sources)) show(name, piece);
  printer.flush();
  if (flags.follow === true) {
    const isOver = () => new Date().toISOString() > until;
    await Promise.all(
      sources.map((source) =>
        follow(source, isOver, (pieces) => {
          for (const piece of pieces) show(source.name, piece);
          printer.flush();
        }),
      ),
    );
  }
  for (const { log } of sources) closeLog(log);
  return status;
}

type Found = Omit<Source, "log"> & { readonly directory: string };

/** The logs of the named sandboxes, and the status: 1 where one of them has none. */
async function findLogs(words: readonly string[]): Promise<{ found: Found[]; status: number }> {
  const found: Found[] = [];
  const status = await tryViews(words, ({ name, spec, kept }) => {
    if (kept === null) {
      fail(`logs ${name}`, "nothing is kept of what it writes", "Start it with sbx run --detach");
    }
    if (!spec.sbx.life?.log) fail(`logs ${name}`, "it was made with --log-driver=none");
    const { directory } = kept;
    const isRunning = () => lockedInodes().has(lockInode(directory) ?? -1);
    found.push({ name, directory, isRunning });
  });
  return { found, status };
}

/** Null for all. */
function readTail(text: string): number | null {
  if (text === "all" || /^-\d+$/.test(text)) return null;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  return fail(`--tail ${text}`, "is no number of lines", "Give a number, or all");
}

/** The pieces of all, the earliest first. */
function* inOrder(sources: readonly Source[]): Generator<[name: string, Piece]> {
  const heads = sources.flatMap(({ name, log }) => {
    const pieces = readLog(log);
    const first = pieces.next();
    return first.done === true ? [] : [{ name, pieces, piece: first.value }];
  });
  while (heads.length > 0) {
    const head = heads.reduce((a, b) => (b.piece.time < a.piece.time ? b : a));
    yield [head.name, head.piece];
    const next = head.pieces.next();
    if (next.done === true) heads.splice(heads.indexOf(head), 1);
    else head.piece = next.value;
  }
}

/** Until the sandbox has ended, or it is too late, and all is told. */
async function follow(
  { name, log, isRunning }: Source,
  isOver: () => boolean,
  tell: (pieces: Iterable<Piece>) => void,
): Promise<void> {
  const changes = watchDirectory(log.directory);
  for (let isLast = false; !isLast; ) {
    // Before reading: who has ended by now has written all.
    isLast = isOver() || !isRunning();
    tell(readLog(log));
    if (log.isTorn) {
      const problem = { what: `logs ${name}`, why: "lines were removed before they could be read" };
      fs.writeSync(2, `${renderProblem(problem)}\n`);
      log.isTorn = false;
    }
    if (!isLast) await changes.next();
  }
  changes.close();
}

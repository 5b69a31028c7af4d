/**
 * The log of a kept sandbox, which its monitor writes (launch/lower/life/log.ts): lines of the CRI format,
 * `2026-11-21T19:47:00.123456789Z stdout F text`, in `log` and, older and older, `log.1`, `log.2`, …
 * Whatever else is in the files is passed over. The format is that of kubelet's
 * design-proposals/node/kubelet-cri-logging.md.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { type LineFile, openLines } from "./plain-file.js";

export type LogStream = "stdout" | "stderr";

/** A line of the sandbox's, or a part of one. */
export interface Piece {
  /** When it was read: RFC 3339 in UTC with nine digits of a second, so that text order is time's. */
  readonly time: string;
  readonly stream: LogStream;
  /** Whether a line ends with it. */
  readonly isEnd: boolean;
  /** As written; a newline is the last where a line ends. */
  readonly bytes: Buffer;
}

/** A log that is being read; what it has open is the caller's to close, by `closeLog`. */
export interface Log {
  readonly directory: string;
  /** From the oldest that is not read yet to the one that is being written. */
  files: LineFile[];
  /** Set where a file was removed before it could be read. */
  isTorn: boolean;
}

/** Longer lines than the monitor writes are none of its. */
const blockSize = 65_536;
/** Of what comes before the text. */
const headSize = 40;
const headForm = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) ([FP]) $/;
const newline = 10;

/** The log as far as it is there; `tailLines` leaves out what is before the last lines. */
export function openLog(directory: string, tailLines: number | null = null): Log {
  const { files } = openFiles(directory, null);
  if (tailLines !== null) cutToTail(files, tailLines);
  return { directory, files, isTorn: false };
}

/** What is there and not read yet. A line that is being written is left for the next time. */
export function* readLog(log: Log): Generator<Piece> {
  const newest = log.files.at(-1);
  // Before reading: of a file that has been renamed by now, nothing more is written.
  const { files, isWhole } = openFiles(log.directory, newest?.inode ?? null);
  // Where there are none, all of the log is gone with its sandbox.
  if (newest !== undefined && files.length > 0 && !isWhole) log.isTorn = true;
  log.files.push(...files);
  for (const file of log.files) yield* readFile(file);
  for (const file of log.files.splice(0, log.files.length - 1)) fs.closeSync(file.fd);
}

export function closeLog({ files }: Log): void {
  for (const { fd } of files.splice(0)) fs.closeSync(fd);
}

/**
 * Those newer than the one that is known, the oldest first, and whether that was still there. They are
 * opened from the newest on, against the direction in which a rotation renames them, so that none is missed;
 * one of them may be between two names.
 */
function openFiles(
  directory: string,
  known: number | null,
): { readonly files: LineFile[]; readonly isWhole: boolean } {
  const files: LineFile[] = [];
  for (let number = 0, missing = 0; missing < 2; number++) {
    const file = openLines(join(directory, number === 0 ? "log" : `log.${number}`));
    if (file === null) {
      missing += 1;
      continue;
    }
    missing = 0;
    if (file.inode === known) {
      fs.closeSync(file.fd);
      return { files, isWhole: true };
    }
    if (files[0]?.inode === file.inode) fs.closeSync(file.fd);
    else files.unshift(file);
  }
  return { files, isWhole: false };
}

function* readFile(file: LineFile): Generator<Piece> {
  for (;;) {
    const block = readBlock(file.fd, file.position, blockSize);
    const end = block.lastIndexOf(newline) + 1;
    if (end > 0) {
      for (const { piece } of piecesOf(block.subarray(0, end))) yield piece;
      file.position += end;
    } else if (block.length === blockSize) file.position += blockSize;
    else return;
  }
}

function readBlock(fd: number, position: number, size: number): Buffer {
  const block = Buffer.allocUnsafe(size);
  return block.subarray(0, fs.readSync(fd, block, 0, size, position));
}

/** The pieces in a block that ends with a line, with the places where they end. */
function* piecesOf(block: Buffer): Generator<{ readonly piece: Piece; readonly end: number }> {
  for (let start = 0, end = 0; start < block.length; start = end) {
    end = block.indexOf(newline, start) + 1;
    const head = headForm.exec(block.toString("latin1", start, Math.min(start + headSize, end)));
    if (head === null) continue;
    const [, time = "", stream, kind] = head;
    const isEnd = kind === "F";
    const bytes = block.subarray(start + headSize, isEnd ? end : end - 1);
    yield { piece: { time, stream: stream as LogStream, isEnd, bytes }, end };
  }
}

/** From the end on, as little is read as has to be. */
function cutToTail(files: LineFile[], lines: number): void {
  // An unfinished line at the end is one, too.
  let isOpen = true;
  let left = lines;
  for (let at = files.length - 1; at >= 0; at--) {
    const file = files[at] as LineFile;
    for (let end = fs.fstatSync(file.fd).size; end > 0; ) {
      const start = Math.max(0, end - blockSize);
      const block = readBlock(file.fd, start, end - start);
      const first = start === 0 ? 0 : block.indexOf(newline) + 1;
      const last = block.lastIndexOf(newline) + 1;
      for (const each of [...piecesOf(block.subarray(first, last))].reverse()) {
        if (each.piece.isEnd || isOpen) {
          if (left === 0) {
            file.position = start + first + each.end;
            for (const { fd } of files.splice(0, at)) fs.closeSync(fd);
            return;
          }
          left -= 1;
        }
        isOpen = false;
      }
      // What is longer than a block is no line.
      end = first === 0 || first === block.length ? start : start + first;
    }
  }
}

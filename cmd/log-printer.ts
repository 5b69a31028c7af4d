/**
 * Pieces of logs on standard output and standard error, as `sbx logs` shows them: in their order even where both
 * are one terminal, and no faster than they are taken. Or as JSON, a line each.
 */
import { isUtf8 } from "node:buffer";
import type { LogStream, Piece } from "../launch/life/log.js";
import { writeAll } from "./print.js";

export interface LogPrinter {
  print(name: string, piece: Piece): void;
  /** What was printed may be held back until then. */
  flush(): void;
}

interface Style {
  /** Each line begins with the name of its sandbox, in so many columns; null: none does. */
  readonly nameWidth: number | null;
  /** Each line begins with its time. */
  readonly timestamps: boolean;
}

const batchBytes = 65_536;

export function createLogPrinter({ nameWidth, timestamps }: Style): LogPrinter {
  /** Whose line is not ended yet. */
  const open: Record<LogStream, string | null> = { stdout: null, stderr: null };
  let stream: LogStream = "stdout";
  let batch: Buffer[] = [];
  let size = 0;

  const flush = () => {
    writeAll(stream === "stdout" ? 1 : 2, Buffer.concat(batch));
    [batch, size] = [[], 0];
  };
  const put = (bytes: Buffer) => {
    batch.push(bytes);
    size += bytes.length;
  };
  return {
    flush,
    print(name, piece) {
      if (piece.stream !== stream || size > batchBytes) flush();
      stream = piece.stream;
      const interrupted = open[stream];
      const isNext = interrupted !== null && (nameWidth === null || interrupted === name);
      if (!isNext) {
        const prefix = `${nameWidth === null ? "" : `${name.padEnd(nameWidth)} `}${timestamps ? `${piece.time} ` : ""}`;
        put(Buffer.from(interrupted === null ? prefix : `\n${prefix}`));
      }
      put(piece.bytes);
      open[stream] = piece.isEnd ? null : name;
    },
  };
}

/** A JSON object for each piece, all on standard output. */
export const jsonLogPrinter: LogPrinter = {
  flush() {},
  print: (name, piece) => writeAll(1, Buffer.from(`${JSON.stringify(objectOf(name, piece))}\n`)),
};

/** The line without its newline: as text where it is such, else in base64. */
function objectOf(sandbox: string, { time, stream, isEnd, bytes }: Piece) {
  const line = bytes.subarray(0, bytes.length - (isEnd ? 1 : 0));
  const content = isUtf8(line)
    ? { text: line.toString("utf8") }
    : { base64: line.toString("base64") };
  return { sandbox, time, stream, isPartial: !isEnd, ...content };
}

/** One error type for everything that can go wrong before a payload runs. */

/** What failed, as data: rendered in one line by `renderProblem` and nowhere else. */
export interface Problem {
  /** What was being done, and on what: `open the rootfs ./debian`. */
  readonly what: string;
  /** Why it failed, as the kernel or the check says it: `No such file or directory (ENOENT)`. */
  readonly why: string;
  /** How to mend it, a phrase or sentence. */
  readonly hint?: string;
}

export class SbxError extends Error {
  override readonly name = "SbxError";
  constructor(
    readonly problems: readonly Problem[],
    /** 125 for what sbx itself could not do, as podman-run(1) has it. */
    readonly exitCode = 125,
  ) {
    super(problems.map(renderProblem).join("\n"));
  }
}

/** Gives up with a single problem. */
export function fail(what: string, why: string, hint?: string): never {
  throw new SbxError([hint === undefined ? { what, why } : { what, why, hint }]);
}

/** One line. Names that a rootfs chose may be in it, so that nothing in it steers a terminal. */
export function renderProblem({ what, why, hint }: Problem): string {
  return visible(`sbx: ${what}: ${why}${hint === undefined ? "" : `. ${hint}`}`);
}

/** The text with its control characters (C0, DEL and C1 of Unicode) written as `\x1b`. */
export function visible(text: string): string {
  return text.replace(
    // All but these: \p{Cc} would have the tables of Unicode be searched, in each process anew.
    /[^ -~\u00a0-\uffff]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

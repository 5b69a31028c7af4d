/** Plans: the steps of a program, and what their reader is to know besides. */
import type { Step } from "./step.js";

/** What a plan tells its reader besides the steps: rungs taken, things that will not work inside. */
export interface Plan {
  readonly steps: readonly Step[];
  readonly notes: readonly string[];
  /** Notes that the user must see without asking for them. */
  readonly warnings: readonly string[];
  /** The init reaps and forwards as PID 1; without it the payload is PID 1 itself. */
  readonly init: boolean;
  readonly statusFd: number | null;
  /** All ends when nobody has the other end of the status fd any more, which is a pipe. */
  readonly endsWithReader?: boolean;
  /** Of a program that `sbx compile` makes. */
  readonly standalone?: Standalone;
}

/** What a program that may be started anywhere, by anyone, tells of itself and looks at when it starts. */
export interface Standalone {
  /** What it prints for `--sbx-info`. */
  readonly info: string;
  /** Who may start it; null for anyone, whose ids are the only ones inside then. */
  readonly uid: number | null;
  /** The programs that it runs: absolute paths. */
  readonly helpers: readonly string[];
  /** The oldest kernel that the same plan would be made for. */
  readonly kernel: { readonly major: number; readonly minor: number };
}

/** Steps for what the payload inherits (fds, terminal, limits, umask), and its execve. */
import type { RlimitName } from "../spec.js";

export type PayloadAction =
  /** Makes fds 0 to 2 open and closes all others but the first `preserved` after them and `statusFd`. */
  | { readonly kind: "tidyFds"; readonly preserved: number; readonly statusFd: number | null }
  /**
   * A pty from the sandbox's devpts at `pts`, or at its /dev/pts once it was entered, owned by `uid`, shown as the file `console` too;
   * `auto`: where stdin and stdout are terminals.
   */
  | {
      readonly kind: "openTerminal";
      readonly when: "auto" | "always";
      readonly uid: number;
      readonly pts: string | null;
      readonly console: string | null;
    }
  | {
      readonly kind: "setrlimit";
      readonly type: RlimitName;
      readonly soft: bigint;
      readonly hard: bigint;
    }
  | { readonly kind: "umask"; readonly mask: number }
  /** The payload's process begins before the sandbox is there, with what takes the kernel longest. */
  | { readonly kind: "startPayload" }
  /** The payload goes on once the init is done with all of its steps. */
  | { readonly kind: "awaitInit" }
  /** Runs the program's own arguments, after `prefix`; `fallback` where it was given none. */
  | {
      readonly kind: "execve";
      readonly prefix: readonly string[];
      readonly fallback: readonly string[];
      /** `K=V` settings, and names whose values are taken from the caller at run time. */
      readonly environment: readonly string[];
      readonly inherited: readonly string[];
      readonly inheritAll: boolean;
    };

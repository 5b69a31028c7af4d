/** Steps of a sandbox that others can find, and that may outlive who has started it. */
import type { LifeKeys } from "../life.js";

export type LifeAction =
  /** Goes on in a process of its own, in the background, which holds the lock of the sandbox's directory. */
  | ({ readonly kind: "detach" } & LifeKeys)
  /** Connects to the monitor of a sandbox in the background; the directory is the sandbox's. */
  | { readonly kind: "connectSandbox"; readonly name: string; readonly directory: string }
  /** Executes the program of such a sandbox, and is connected to its monitor. */
  | { readonly kind: "startSandbox"; readonly name: string; readonly program: string }
  /** Writes the init's pid to a file. */
  | { readonly kind: "writePidFile"; readonly path: string }
  /**
   * Writes down below `directory` that the sandbox is running, under `name` or one made up, for other
   * commands to find it, while the init sets up. What cannot be written down is an
   * error only where it is `required`. `base` is there, the rest of the path is made.
   */
  | {
      readonly kind: "keepRecord";
      readonly directory: string;
      readonly base: string;
      readonly name: string | null;
      readonly required: boolean;
      /** The members of the JSON object that are known before it runs, without the braces. */
      readonly known: string;
    }
  /** From here on the monitor may write it, where it is to wait for that. */
  | { readonly kind: "askRecord" }
  /** Waits until it is written. */
  | { readonly kind: "awaitRecord" };

/**
 * The life of a sandbox that runs in the background: what its monitor, which nobody waits for, writes down
 * and decides.
 */

/** When the command is started again after it has ended by itself. Never after `sbx stop` or `sbx kill`. */
export interface RestartPolicy {
  name: "no" | "on-failure" | "always";
  /** With `on-failure`: how often at most. Absent: no limit. */
  maximumRetryCount?: number;
}

export interface LogKeys {
  /** Bytes of one file, at which the next is begun. */
  maxSizeBytes: number;
  /** Files, the one that is written among them; the oldest is removed. */
  maxFiles: number;
}

/** Of a sandbox that is kept: made by `sbx create` or `sbx run -d`. Absent: it is gone when its command ends. */
export interface LifeKeys {
  /** 12 hexadecimal digits. */
  id: string;
  /** Absolute: `sandboxes/ID` of the data directory. The program writes `log` and `state.json` there. */
  directory: string;
  /** The command's standard input stays open for whoever attaches; else it is empty. */
  stdin: boolean;
  restart: RestartPolicy;
  /** Without SIG: what `sbx stop` sends. Absent: TERM. */
  stopSignal?: string;
  /** Seconds from that signal to SIGKILL; -1 for no end. Absent: 10. */
  stopTimeoutSeconds?: number;
  /** Null: nothing is logged. */
  log: LogKeys | null;
  /** Absolute: where the pid of the init is written, as the caller sees it. */
  pidFile?: string;
  /** `--rm`: the directory is removed as the sandbox ends. */
  removeAtEnd: boolean;
  /** How it is started this time; not kept. Absent: as `sbx start` does, which says the id. */
  start?: LifeStart;
}

export interface LifeStart {
  /** What is printed once it runs. */
  says: string;
  /** Of a start that fails nothing is left, not even the directory. */
  isNew: boolean;
  /** Standard input is a socket whose other end is a client (launch/lower/life/attach/clients.ts) from the beginning. */
  isAttached?: boolean;
}

/** What a sandbox in the background has for as long as its monitor lives, whatever is started again. */
import type { ActionOf } from "../../../spec/step.js";
import { slot } from "../../machine/builder.js";
import { actionOf, type Context } from "../context.js";

export type Detach = ActionOf<"detach">;

/** None where the sandbox is in the foreground. */
export const lifeOf = (c: Context): Detach | undefined => actionOf(c, "detach");

/** The monitor's, for life. */
export const l = {
  /** fd 3: the record of the run before, locked, once there was one. */
  record: slot("earlierRecord"),
  /** fd 4: its end tells the starter that the monitor is dead; nothing once it is up. */
  started: slot("startedFd"),
  directory: slot("lifeDirectory"),
  lock: slot("lifeLock"),
  /** The two ends of the payload's stdout and stderr. */
  outRead: slot("outRead"),
  outWrite: slot("outWrite"),
  errRead: slot("errRead"),
  errWrite: slot("errWrite"),
  /** Another end of stderr, for messages of the monitor's, which must not wait for itself. */
  messages: slot("messagesFd"),
  /** The socket of who starts it and is attached from the beginning; nothing once that is a client. */
  starter: slot("starterSocket"),
  /** 1 once the lock is held, and the directory is ours to write to. */
  isOurs: slot("lifeIsOurs"),
  /** 1 once a payload ran. */
  isUp: slot("lifeIsUp"),
  /** 1 once somebody asked that it be not started again. */
  isStopping: slot("lifeIsStopping"),
  restarts: slot("restarts"),
} as const;

/** What has these fds from 3 on, in this order. */
const keptFds = 10;
/** The first that belongs to one run. */
export const firstFdOfRun = 3 + keptFds;

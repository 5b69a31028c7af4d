/** Checks of the keys of a sandbox that runs in the background: spec/life.ts. */
import type { LifeKeys, LifeStart, LogKeys, RestartPolicy } from "./life.js";
import { object, oneOf, optional, orNull, textThat, whole, yesOrNo } from "./shape.js";

const absolute = textThat("be an absolute path", (word) => word.startsWith("/"));

export const lifeKeys = object<LifeKeys>({
  id: textThat("be 12 hexadecimal digits", (word) => /^[0-9a-f]{12}$/.test(word)),
  directory: absolute,
  stdin: yesOrNo,
  restart: object<RestartPolicy>({
    name: oneOf("no", "on-failure", "always"),
    maximumRetryCount: optional(whole(0, 2 ** 31 - 1)),
  }),
  stopSignal: optional(
    textThat("be a signal's name without SIG", (word) => /^[A-Z0-9+-]+$/.test(word)),
  ),
  stopTimeoutSeconds: optional(whole(-1, 2 ** 31 - 1)),
  log: orNull(
    object<LogKeys>({
      maxSizeBytes: whole(4096, Number.MAX_SAFE_INTEGER),
      maxFiles: whole(1, 100),
    }),
  ),
  pidFile: optional(absolute),
  removeAtEnd: yesOrNo,
  start: optional(
    object<LifeStart>({
      says: textThat("be of one line", (word) => !word.includes("\n")),
      isNew: yesOrNo,
      isAttached: optional(yesOrNo),
    }),
  ),
});

/** `sbx pause`, `sbx unpause` and `sbx kill`: on sandboxes as a whole, by their control groups. */
import { freeze, killAll } from "../launch/control-group.js";
import { onEach } from "./targets.js";

/** `argv` is what follows `pause`. All give 0, or 1 where one of the sandboxes could not be had. */
export const pause = (argv: readonly string[]) =>
  onEach("pause", argv, (sandbox) => freeze(sandbox, true));

export const unpause = (argv: readonly string[]) =>
  onEach("unpause", argv, (sandbox) => freeze(sandbox, false));

/** Of paused ones too. */
export const kill = (argv: readonly string[]) => onEach("kill", argv, killAll);

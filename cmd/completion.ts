/** `sbx completion`: scripts that teach a shell to complete `sbx`. Pure. */
import { assertNever } from "../spec/assert-never.js";
import { bashScript } from "./completion-bash.js";
import { fishScript } from "./completion-fish.js";
import type { Shell } from "./completion-words.js";
import { zshScript } from "./completion-zsh.js";

export { commands, families, type Shell, shells, volumeCommands } from "./completion-words.js";

/** The script for one shell; each says in its first lines where to put it. */
export function completionScript(shell: Shell): string {
  switch (shell) {
    case "bash":
      return bashScript();
    case "zsh":
      return zshScript();
    case "fish":
      return fishScript();
    default:
      return assertNever(shell);
  }
}

/** An interactive shell in a terminal, in which a test types `sbx` as a user would. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "./inside.js";
import { command } from "./sandbox.js";
import { openTerminal, type Terminal } from "./terminal.js";

let directory: string | null = null;

/**
 * Runs `act` with an interactive bash, whose prompt is `outer> `; `$sbx` is the command, `$R` the
 * rootfs. The terminal is closed at the end, and with it what still runs there gets a SIGHUP.
 */
export async function outerShell(
  rootfs: string,
  act: (terminal: Terminal) => Promise<void>,
): Promise<void> {
  directory ??= temporaryDirectory("shell");
  // A PS1 of the environment would not come through the shell that tmux starts.
  writeFileSync(join(directory, "bashrc"), "PS1='outer> '\nPROMPT_COMMAND=\nHISTFILE=\n");
  const terminal = await openTerminal("bash --noprofile --rcfile bashrc -i", {
    cwd: directory,
    env: { R: rootfs, sbx: command },
  });
  try {
    await terminal.waitFor("outer>");
    await act(terminal);
  } finally {
    await terminal.close();
  }
}

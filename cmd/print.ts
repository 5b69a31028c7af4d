/** Standard output of the commands that end with what they print. */

/** All of the text or the bytes, at once where standard output takes it. */
export function print(content: string | Uint8Array): void {
  if (process.stdout.listenerCount("error") === 0) process.stdout.on("error", stopAtClosedPipe);
  process.stdout.write(content);
}

/** As other programs do by SIGPIPE, which Node ignores: `sbx explain run / | head` is no failure. */
function stopAtClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
}

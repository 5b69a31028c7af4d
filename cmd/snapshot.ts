/**
 * The entry of `dist/run.blob`, a snapshot of Node's heap: a plain run starts in it with all modules loaded and the
 * functions that it uses compiled. build.mjs makes it: there the script is run once, with the directory of a rootfs.
 *
 * Whatever is no plain run, or goes wrong, ends without an effect that a second try would see: the launcher starts sbx
 * anew then, with `sbx.cjs`, which does and says the same for every Node. So nothing is read that can be read once only.
 */
import { dirname, resolve } from "node:path";
import { startupSnapshot } from "node:v8";
import { runOptions } from "./options/run.js";
import { asksForHelp } from "./parse.js";
import { run } from "./run.js";
import { statusFdOf } from "./status.js";

/** EX_TEMPFAIL of sysexits.h. */
const startAnew = 75;

/** `main` is a file of this build, whose place may be another than where it was built; `argv` is what follows it. */
async function start(main: string, argv: readonly string[]): Promise<number> {
  // For which import.meta.dirname and import.meta.filename stand in this bundle.
  Object.assign(globalThis, { sbxDirectory: dirname(main), sbxFile: main });
  if (statusFdOf(argv) !== null || asksForHelp(argv.slice(1), runOptions)) return startAnew;
  try {
    await run(argv, { pipes: false });
    return 0;
  } catch {
    return startAnew;
  }
}

startupSnapshot.setDeserializeMainFunction(async () => {
  const [, main = "", ...argv] = process.argv;
  // As it was given to the launcher: what is relative would bind the program to the working directory.
  process.exit(await start(resolve(main), argv));
});
const [, , main = "", rootfs = ""] = process.argv;
(async () => {
  // Where no network can be had, what that needs is not in the snapshot.
  await start(main, ["run", "--no-cache", rootfs]);
  const least = ["run", "--no-cache", "--network=none", "--userns=single", rootfs];
  if ((await start(main, least)) !== 0) throw new Error("a plain run fails");
})();

/** `sbx top`: the processes of a sandbox. */
import { spawnSync } from "node:child_process";
import { processesOf } from "../launch/processes.js";
import { callersPlaces, findRunning } from "../launch/sandboxes.js";
import { fail } from "../spec/error.js";
import { parseWords } from "./parse.js";

const usual = ["user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args"];

/** `argv` is what follows `top`. ps(1) writes to our standard output, and knows how wide that is. */
export async function top(argv: readonly string[]): Promise<number> {
  const [name, ...fields] = parseWords(argv, {}).words;
  if (name === undefined) fail("top", "no sandbox is named", "The form is sbx top NAME [FIELD…]");
  const what = `top ${name}`;
  const sandbox = await findRunning(callersPlaces(process.env), name);
  const pids = processesOf(sandbox);
  if (pids.length === 0) fail(what, "it has ended");
  const format = (fields.length > 0 ? fields : usual).flatMap((field) => ["-o", field]);
  const { error, status, stderr } = spawnSync("ps", [...format, "-p", pids.join(",")], {
    stdio: ["ignore", "inherit", "pipe"],
    encoding: "utf8",
  });
  if (error !== undefined) fail(what, `ps: ${error.message}`, "Install procps");
  if (stderr !== "") {
    fail(what, `ps: ${stderr.trim().split("\n")[0]}`, "Fields are those of ps(1), as pid,comm,rss");
  }
  // All have ended meanwhile.
  if (status !== 0) fail(what, "it has ended");
  return 0;
}

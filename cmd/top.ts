/** `sbx top`: the processes of a sandbox. */
import { spawnSync } from "node:child_process";
import { processesOf } from "../launch/life/processes.js";
import { callersPlaces, findRunning } from "../launch/life/sandboxes.js";
import { fail } from "../spec/error.js";
import { liveCommands } from "./options/live.js";
import { parseWords } from "./parse.js";
import { print } from "./print.js";

const usual = ["user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args"];

/** `argv` is what follows `top`. ps(1) writes to our standard output, and knows how wide that is. */
export async function top(argv: readonly string[]): Promise<number> {
  const { flags, words } = parseWords(argv, liveCommands.top.options);
  const [name, ...given] = words;
  if (name === undefined) fail("top", "no sandbox is named", "The form is sbx top NAME [FIELD…]");
  const what = `top ${name}`;
  const sandbox = await findRunning(callersPlaces(process.env), name);
  const pids = processesOf(sandbox);
  if (pids.length === 0) fail(what, "it has ended");
  const fields = given.length > 0 ? given : usual;
  if (flags.json === true) print(`${JSON.stringify(listed(what, pids, fields), null, 2)}\n`);
  else ask(what, pids, fields, "inherit");
  return 0;
}

/** An object for each process, of what ps has for the fields. Those that end meanwhile are left out. */
function listed(what: string, pids: readonly number[], given: readonly string[]) {
  const fields = given.flatMap((field) => field.split(","));
  // One field at a time: where the next one begins could not be told.
  const values = fields.map((field) => {
    const lines = ask(what, pids, ["pid=", `${field}=`], "pipe")
      .trimEnd()
      .split("\n");
    return new Map(
      lines.map((line) => /^ *(\d+) *(.*?) *$/.exec(line)?.slice(1) as [string, string]),
    );
  });
  return [...(values[0]?.keys() ?? [])]
    .filter((pid) => values.every((each) => each.has(pid)))
    .map((pid) => Object.fromEntries(fields.map((field, at) => [field, values[at]?.get(pid)])));
}

/** What ps(1) writes, where that is a pipe. */
function ask(
  what: string,
  pids: readonly number[],
  fields: readonly string[],
  output: "inherit" | "pipe",
): string {
  const format = fields.flatMap((field) => ["-o", field]);
  const width = output === "pipe" ? ["-ww"] : [];
  const { error, status, stdout, stderr } = spawnSync(
    "ps",
    [...width, ...format, "-p", pids.join(",")],
    { stdio: ["ignore", output, "pipe"], encoding: "utf8", maxBuffer: 2 ** 28 },
  );
  if (error !== undefined) fail(what, `ps: ${error.message}`, "Install procps");
  if (stderr !== "") {
    fail(what, `ps: ${stderr.trim().split("\n")[0]}`, "Fields are those of ps(1), as pid,comm,rss");
  }
  // All have ended meanwhile.
  if (status !== 0) fail(what, "it has ended");
  return stdout;
}

/** `sbx start` and `sbx restart`, up to the programs that the launcher executes. */
import { existsSync, writeSync } from "node:fs";
import { compileSandbox } from "../launch/compile.js";
import { probe } from "../launch/facts/probe.js";
import { type Kept, wholeSpec } from "../launch/life/kept.js";
import { placeProgram } from "../launch/life/kept-program.js";
import {
  callersPlaces,
  chooseView,
  findView,
  listViews,
  type SandboxView,
} from "../launch/life/sandboxes.js";
import { fail, visible } from "../spec/error.js";
import { validate } from "../spec/validate.js";
import { liveCommands } from "./options/live.js";
import { parseWords } from "./parse.js";
import { requestOf } from "./request.js";
import { createVolumes } from "./run.js";
import { tryAll } from "./targets.js";
import { tell } from "./tell.js";

type Word = "start" | "restart";

/**
 * What the launcher is told where it starts sandboxes: `each STATUS`, and then in a line each what to execute, an absolute path, or
 * what to print, the name of one that runs already. `memfd SHIFT` where there is no place to execute from.
 * Null where it attaches to one.
 */
export async function answerForStart(word: Word, argv: readonly string[]): Promise<string | null> {
  if (attachedIn(word, argv) !== null) return null;
  const { chosen, status } = await choose(word, argv);
  const lines: string[] = [];
  let isMemory = false;
  const failed = await tryAll(chosen, async (view) => {
    const kept = stoppedOf(view);
    if (kept === null) {
      lines.push(view.name);
      return;
    }
    const path = await programOf(kept);
    if (path !== null) lines.push(path);
    else if (chosen.length === 1) isMemory = true;
    else {
      const why = "there is no place to execute its program from";
      fail(`start ${kept.name}`, why, "Start it by itself");
    }
  });
  return isMemory
    ? `memfd ${argv.length + 1}`
    : [`each ${Math.max(status, failed)}`, ...lines].join("\n");
}

/** Where it is; null where there is no place for it. */
async function programOf(kept: Kept, isAttached = false): Promise<string | null> {
  try {
    const { bytes, host } = await compileStart(kept, isAttached);
    const { uid, home } = host.user;
    return placeProgram(kept, bytes, { env: process.env, home, uid, nowMs: Date.now() });
  } catch (error) {
    if (existsSync(kept.directory)) throw error;
    return fail(`start ${kept.name}`, "it has been removed meanwhile");
  }
}

/** What `sbx start --attach` is given; null where it is none. */
function attachedIn(word: Word, argv: readonly string[]) {
  if (word === "restart") return null;
  const { flags, words } = parseWords(argv, liveCommands.start.options);
  return flags.attach === true || flags.interactive === true ? { flags, words } : null;
}

/** A client of the one that is named, which starts it unless it runs already. */
async function compileAttached({ flags, words }: NonNullable<ReturnType<typeof attachedIn>>) {
  const [name, ...more] = words;
  if (name === undefined || more.length > 0) {
    const why = name === undefined ? "no sandbox is named" : "several sandboxes are named";
    fail("start --attach", why, "The form is sbx start --attach NAME");
  }
  const { attachTo, clientOf } = await import("./attach.js");
  const view = await findView(callersPlaces(process.env), name);
  const wantsInput = flags.interactive === true;
  const kept = stoppedOf(view);
  if (kept === null) return attachTo(view, flags, wantsInput);
  const path = await programOf(kept, true);
  if (path === null) {
    const why = "there is no place to execute its program from";
    fail(`start ${kept.name}`, why, "Start it without --attach, then sbx attach");
  }
  const host = probe("/", process.env);
  const { compileStartAttached } = await import("../launch/programs/client.js");
  const client = clientOf(kept.spec, flags, wantsInput);
  return { host, ...compileStartAttached(kept.name, path, client, host) };
}

/** The program of the one that is named, to be executed from memory; or that which attaches to it. */
export async function compileNamed(word: Word, argv: readonly string[]) {
  const attached = attachedIn(word, argv);
  if (attached !== null) return { ...(await compileAttached(attached)), shift: argv.length + 1 };
  const { chosen } = await choose("start", argv);
  const kept = chosen[0] && stoppedOf(chosen[0]);
  if (!kept) return fail(word, "it runs already");
  return { ...(await compileStart(kept)), shift: argv.length + 1 };
}

/** Those that are named, in that order; with `restart`, they have ended. */
async function choose(
  word: Word,
  argv: readonly string[],
): Promise<{ chosen: SandboxView[]; status: number }> {
  const { words } = parseWords(argv, liveCommands[word].options);
  if (words.length === 0) fail(word, "no sandbox is named", `The form is sbx ${word} NAME…`);
  const { views, damaged } = await listViews(callersPlaces(process.env));
  const chosen: SandboxView[] = [];
  const status = await tryAll(words, async (name) => {
    const view = chooseView(views, damaged, name);
    if (!chosen.includes(view)) chosen.push(view);
  });
  if (word === "start") return { chosen, status };
  const { end, readEnding } = await import("./stop.js");
  const ending = readEnding(word, parseWords(argv, liveCommands.restart.options).flags);
  const ended: SandboxView[] = [];
  const tries = chosen.map((view) =>
    tryAll([view], async () => {
      if (view.kept === null || view.spec.sbx.life?.removeAtEnd === true) {
        fail(`restart ${view.name}`, "nothing of it is kept when it ends", "Run it with -d");
      }
      if (await end(view, ending)) await tell("stop", view);
      ended.push({ ...view, status: "exited" });
    }),
  );
  return { chosen: ended, status: Math.max(status, ...(await Promise.all(tries))) };
}

/** Null where it runs. */
function stoppedOf({ name, status, kept }: SandboxView): Kept | null {
  if (status === "paused") {
    fail(`start ${name}`, "it is paused", `Let it go on: sbx unpause ${name}`);
  }
  return status === "created" || status === "exited" ? kept : null;
}

/** Anew at each start: the machine may be another than it was. */
async function compileStart(kept: Kept, isAttached = false) {
  const spec = validate(await wholeSpec(kept));
  const { life } = spec.sbx;
  if (life === undefined) throw new Error(`${kept.directory} is of no sandbox that is kept`);
  const start = { says: kept.name, isNew: false, isAttached };
  const whole = { ...spec, sbx: { ...spec.sbx, life: { ...life, start } } };
  const { host } = await requestOf(whole);
  createVolumes(whole);
  const compiled = compileSandbox(whole, host);
  for (const warning of compiled.plan.warnings) writeSync(2, `sbx: ${visible(warning)}\n`);
  return { ...compiled, host };
}

/** `sbx attach`: the caller's terminal, or pipes, on a sandbox that runs in the background. */

import { probe } from "../launch/facts/probe.js";
import {
  callersPlaces,
  findView,
  requireRunning,
  type SandboxView,
} from "../launch/life/sandboxes.js";
import { type Client, mostDetachKeys } from "../launch/lower/life/attach/client-input.js";
import { compileAttach } from "../launch/programs/client.js";
import { fail } from "../spec/error.js";
import type { Spec } from "../spec/spec.js";
import { liveCommands } from "./options/live.js";
import type { FlagsOf } from "./options/option.js";
import { parseWords } from "./parse.js";

const { options } = liveCommands.attach;
/** Those that it shares with `sbx start --attach`. */
type Flags = Pick<FlagsOf<typeof options>, "detach-keys" | "sig-proxy">;

/** `argv` is what follows `attach`. */
export async function compileAttached(argv: readonly string[]) {
  const { flags, words } = parseWords(argv, options);
  const [name, ...more] = words;
  if (name === undefined || more.length > 0) {
    const why = name === undefined ? "no sandbox is named" : "several sandboxes are named";
    fail("attach", why, "The form is sbx attach [options] NAME");
  }
  const view = await findView(callersPlaces(process.env), name);
  return { shift: argv.length + 1, ...attachTo(view, flags, flags["no-stdin"] !== true) };
}

/** The client of one that runs. */
export function attachTo(view: SandboxView, flags: Flags, wantsInput: boolean) {
  const what = `attach to ${view.name}`;
  requireRunning(view);
  if (view.kept === null) {
    fail(what, "it runs in the foreground", "Start it with sbx run --detach, or see sbx exec");
  }
  if (view.status === "paused") fail(what, "it is paused", `sbx unpause ${view.name}`);
  const host = probe("/", process.env);
  return { host, ...compileAttach(view.kept, clientOf(view.spec, flags, wantsInput), host) };
}

/** How the sandbox of the spec is attached to, with standard input where that is wanted and it has any. */
export function clientOf(
  { process: { terminal }, sbx: { life } }: Spec,
  flags: Flags,
  wantsInput: boolean,
): Client {
  return {
    hasTerminal: terminal === true,
    input: wantsInput && life?.stdin === true,
    detachKeys: readDetachKeys(flags["detach-keys"] ?? "ctrl-p,ctrl-q"),
    passesSignals: flags["sig-proxy"] !== false,
  };
}

/** The bytes of keys in docker's notation, `ctrl-p,ctrl-q` or `a`: no keys are none. */
export function readDetachKeys(text: string): Uint8Array {
  const keys = text === "" ? [] : text.split(",");
  const bytes = keys.map((key) => {
    const [, control] = /^ctrl-([a-z@[\\\]^_])$/.exec(key) ?? [];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
    if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0);
    return fail(
      `--detach-keys ${text}`,
      key === "" ? "a key is missing" : `${key} is no key`,
      "Keys are characters, or ctrl- and one of a-z @ [ \\ ] ^ _, with commas between them",
    );
  });
  if (bytes.length > mostDetachKeys) {
    fail(`--detach-keys ${text}`, `are more than ${mostDetachKeys} keys`);
  }
  return Uint8Array.from(bytes);
}

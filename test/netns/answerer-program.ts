/** The answerer as a program of its own, whose channel is fd 3. */

import type { Program } from "../../launch/ir.js";
import { compile } from "../../launch/link.js";
import { answererChannel, lowerAnswerer } from "../../launch/lower/answerer/answerer.js";
import { context } from "../../launch/lower/context.js";

export function answererProgram(upstreams: readonly string[]): Program {
  const c = context({ steps: [], notes: [], warnings: [], init: false, statusFd: null });
  c.b.set(answererChannel, 3);
  lowerAnswerer(c, { architecture: "x86_64", upstreams });
  return c.b.finish();
}

/** The bytes of the file. */
export const compileAnswerer = (upstreams: readonly string[]): Uint8Array =>
  compile(answererProgram(upstreams), "x86_64");

/** The payload's system-call filter. */
import type { ActionOf } from "../../../spec/step.js";
import { type Builder, slot } from "../../machine/builder.js";
import { k } from "../../machine/constants.js";
import type { Address } from "../../machine/ir.js";
import type { Context } from "../context.js";
import { awaitHandOver, startMessenger } from "./listener.js";

/** struct sock_fprog: the number of instructions in two bytes, their address in the next word. */
export function filterProgram(b: Builder, name: string, filter: Uint8Array): Address {
  return b.words(`${name}Program`, [filter.length / 8, b.bytes(name, filter)], false);
}

/** From here on any call of the payload may be refused, or kill it: the rest is execve, as a rule. */
export function loadFilter(c: Context, action: ActionOf<"seccomp">): void {
  const { b } = c;
  const { filter, flags } = action;
  const args = [
    k("SECCOMP_SET_MODE_FILTER"),
    k(...flags),
    filterProgram(b, "seccompFilter", filter),
  ];
  if (!flags.includes("SECCOMP_FILTER_FLAG_NEW_LISTENER")) {
    b.must("seccomp", args);
    return;
  }
  const listener = slot("listenerFd");
  startMessenger(c);
  b.must("seccomp", args, listener);
  awaitHandOver(c, listener);
}

/** What the parts of the finder share: slots, and memory with its sizes in bytes. */

import { maxEntryBytes, statxSize } from "../cache/entry-format.js";
import { type Builder, slot } from "../machine/builder.js";
import type { Address } from "../machine/ir.js";

export interface Finder {
  readonly b: Builder;
  /** The path of the directory of programs, and a `/` behind it: `directoryEnd` says where that ends. */
  readonly path: Address;
  readonly stat: Address;
  readonly entry: Address;
  /** A file of /proc, or what a link says. */
  readonly content: Address;
  readonly fdName: Address;
  readonly uname: Address;
}

export const pathSize = 8192;
export const contentSize = 256 * 1024;

export function finderMemory(b: Builder): Finder {
  return {
    b,
    path: b.buffer("path", pathSize),
    stat: b.buffer("stat", statxSize + 256),
    entry: b.buffer("entry", maxEntryBytes + 8),
    content: b.buffer("content", contentSize),
    fdName: b.buffer("fdName", 64),
    uname: b.buffer("uname", 512),
  };
}

export const s = {
  stack: slot("stack"),
  argc: slot("argc"),
  envp: slot("envp"),
  uid: slot("uid"),
  result: slot("result"),
  byte: slot("byte"),
  other: slot("other"),
  /** What subroutines take. */
  left: slot("left"),
  right: slot("right"),
  length: slot("length"),
  /** Where the path that is being put together ends. */
  end: slot("pathEnd"),
  /** Where the directory's part of it ends. */
  directoryEnd: slot("directoryEnd"),
  value: slot("value"),
  fd: slot("fd"),
} as const;

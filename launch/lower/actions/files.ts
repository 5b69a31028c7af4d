/** The steps of spec/actions/files.ts as ops. */
import type { FileAction } from "../../../spec/actions/files.js";
import { k } from "../../machine/constants.js";
import { regularFile } from "../context.js";
import { nameOwnAddress } from "../netns/own-address.js";
import { make, makeDirectories, makeFile, writeProc } from "../rootfs/filesystem.js";
import { enterWorkdir } from "../rootfs/resolve.js";
import type { Lowering } from "../steps.js";

export const fileSteps: Lowering<FileAction> = {
  mkdir: (c, { path, mode, isNew }) => makeDirectories(c, path, mode, isNew),
  touch: (c, { path, mode, isNew }) => make(c, "mknodat", path, regularFile(mode), isNew),
  makeFile,
  symlink: ({ b }, { target, path }) =>
    b.must("symlinkat", [b.text(target), k("AT_FDCWD"), b.text(path)]),
  nameOwnAddress,
  writeProc: (c, { path, staged, text, isOptional }) =>
    writeProc(c, c.b.text(staged ?? path), text, isOptional),
  chdir: ({ b }, { path }) => b.must("chdir", [b.text(path)]),
  enterWorkdir: (c, { path }) => enterWorkdir(c, path),
};

/** An installation whose launcher is a stand-in, to see what the finder leaves to it. */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { command } from "./sandbox.js";

/** Makes one in an empty directory, with the given shell script for a launcher; the path of its finder. */
export function installFinder(directory: string, launcher: string): string {
  const name = `sbx-find-${process.arch === "arm64" ? "aarch64" : "x86_64"}`;
  const finder = join(directory, "dist", name);
  mkdirSync(join(directory, "dist"), { recursive: true });
  mkdirSync(join(directory, "cmd"));
  copyFileSync(join(dirname(command), "../dist", name), finder);
  writeFileSync(join(directory, "cmd/sbx"), launcher);
  return finder;
}

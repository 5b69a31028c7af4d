/** The finder for this command line's options. build.mjs writes it beside the rest. */
import { lowerFinder } from "../launch/finder/finder.js";
import type { OptionWords } from "../launch/finder/words.js";
import { compile } from "../launch/machine/link.js";
import type { Architecture } from "../spec/host.js";
import { aliasesOf, type OptionTable } from "./options/option.js";
import { runOptions } from "./options/run.js";

/** What the finder has to know of a table of options. */
export function optionWords(table: OptionTable): OptionWords {
  const names = Object.entries(table).flatMap(([name, option]) =>
    [name, ...aliasesOf(option)].map((each) => ({ each, takes: option.type === "string" })),
  );
  return {
    valued: names.flatMap(({ each, takes }) => (takes && each.length > 1 ? [each] : [])),
    switches: names
      .flatMap(({ each, takes }) => (!takes && each.length === 1 ? [each] : []))
      .join(""),
  };
}

export const finder = (architecture: Architecture): Uint8Array =>
  compile(lowerFinder(optionWords(runOptions)), architecture);

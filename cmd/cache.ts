/** `sbx cache`: the programs that `sbx run` uses again. */
import { listCache, pruneCache } from "../launch/cache/cache.js";
import { programPlaces } from "../launch/cache/store.js";
import { fail } from "../spec/error.js";
import { didYouMean } from "../spec/nearest.js";
import { type CacheCommand, cacheCommands } from "./options/cache.js";
import { parseWords } from "./parse.js";
import { print } from "./print.js";
import { sizeText, table } from "./table.js";

const isCommand = (name: string): name is CacheCommand => Object.hasOwn(cacheCommands, name);

/** `argv` is what follows `cache`. */
export async function cache(argv: readonly string[]): Promise<number> {
  const [name = "", ...rest] = argv;
  if (!isCommand(name)) {
    const names = Object.keys(cacheCommands);
    const hint = didYouMean(name, names) ?? `There are ${names.join(", ")}`;
    fail(`cache ${name}`.trimEnd(), name === "" ? "no command is given" : "no such command", hint);
  }
  const { flags, words } = parseWords<
    Record<string, { type: "boolean"; group: string; describe: string }>
  >(rest, cacheCommands[name].options);
  if (words.length > 0) fail(`cache ${name} ${words[0]}`, "takes no words");
  const places = programPlaces({ env: process.env, home: process.env.HOME ?? null });
  if (name === "prune") {
    const { files, bytes } = pruneCache(places);
    print(`Removed ${files} files, ${sizeText(bytes)}\n`);
    return 0;
  }
  const all = listCache(places);
  if (flags.json === true) print(`${JSON.stringify(all, null, 2)}\n`);
  else {
    const columns = [
      { title: "LAST USED", worth: 1 },
      { title: "SIZE", right: true, worth: 2 },
      { title: "WORDS", worth: null },
    ] as const;
    const rows = all.map(({ usedMs, bytes, words }) => [
      new Date(usedMs).toISOString().slice(0, 10),
      sizeText(bytes),
      words.map((word) => (/^[\w%+,./:=@^-]+$/.test(word) ? word : JSON.stringify(word))).join(" "),
    ]);
    print(table(columns, rows, process.stdout.isTTY ? process.stdout.columns : null));
  }
  return 0;
}

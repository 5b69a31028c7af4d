/** The completion script for fish. */
import {
  commands,
  compileEntries,
  entries,
  explainEntries,
  families,
  familyEntries,
  isToggle,
  liveEntries,
  negation,
  networkWords,
  shells,
  spellings,
  unshareEntries,
  volumeCommands,
  wordsFor,
} from "./completion-words.js";
import { aliasesOf, type Option } from "./options/option.js";

const fishCompletes = {
  file: "-F",
  directory: "-xa '(__fish_complete_directories)'",
  user: "-xa '(__fish_complete_users)'",
  variable: "-xa '(set -nx)'",
  capability: "",
  profile: "-F -a 'default unconfined'",
  sandbox: "-xa 'private host (__sbx_sandboxes | string replace -r ^ container:)'",
  network: `-xa '${networkWords.join(" ")} (__sbx_networks)'`,
} as const satisfies Record<NonNullable<Option["completes"]>, string>;

const fishTakes = {
  profile: "-F -a default",
  network: "-xa '(__sbx_networks)'",
  sandbox: "-xa '(__sbx_sandboxes)'",
  "sandbox or upper": "-xa '(__sbx_sandboxes) (__fish_complete_directories)'",
} as const;

/** Made for fish 3. */
export function fishScript(): string {
  const fishQuoted = (text: string) => `'${text.replace(/['\\]/g, "\\$&")}'`;
  const linesFor =
    (condition: string) =>
    ([name, option]: (typeof entries)[number]) => {
      const names = [name, ...aliasesOf(option)]
        .map((each) => (each.length > 1 ? `-l ${each}` : `-s ${each}`))
        .join(" ");
      const start = `complete -c sbx -n ${condition} ${names} -d ${fishQuoted(option.describe)}`;
      if (isToggle(option)) {
        const negated = negation(name, option).map(
          (each) =>
            `complete -c sbx -n ${condition} -l ${each.slice(2)} -d ${fishQuoted(`Not: ${option.describe}`)}`,
        );
        return [start, ...negated];
      }
      const words = wordsFor(option);
      if (words.length > 0) return [`${start} -xa ${fishQuoted(words.join(" "))}`];
      return [
        `${start} ${option.completes === undefined ? "-x" : fishCompletes[option.completes]}`,
      ];
    };
  const lines = [
    ...entries.flatMap(linesFor("__sbx_options")),
    ...explainEntries.flatMap(linesFor("'__sbx_options; and __sbx_is explain'")),
    ...compileEntries.flatMap(linesFor("'__sbx_options; and __sbx_is compile'")),
    ...[...familyEntries, ...liveEntries].flatMap(({ path, options, takes }) => {
      const condition = `'__sbx_is ${path}'`;
      const words = takes === null ? [] : [`complete -c sbx -n ${condition} ${fishTakes[takes]}`];
      return [...words, ...options.flatMap(linesFor(condition))];
    }),
    ...unshareEntries.flatMap(linesFor("'__sbx_is unshare'")),
  ];
  const valued = [...entries, ...explainEntries, ...compileEntries]
    .filter(([, option]) => !isToggle(option))
    .flatMap(([name, option]) => spellings(name, option));
  const start = "complete -c sbx -n __fish_use_subcommand";
  return `# fish completion for sbx; install it as ~/.config/fish/completions/sbx.fish
# The number of words of the command line that stand for ROOTFS and the command so far.
function __sbx_words
    set -l words (commandline -opc)
    set -e words[1]
    test "$words[1]" = explain; and set -e words[1]
    contains -- "$words[1]" run create compile; or return 1
    set -e words[1]
    set -l count 0
    set -l skip 0
    for word in $words
        if test $skip = 1
            set skip 0
        else if test $count -gt 0
            set count (math $count + 1)
        else if contains -- $word ${valued.join(" ")}
            set skip 1
        else if not string match -q -- '-*' $word
            set count 1
        end
    end
    echo $count
end
# Whether the command line begins with these words.
function __sbx_is
    set -l words (commandline -opc)
    test "$words[2..$(math 1 + (count $argv))]" = "$argv"
end
function __sbx_networks
    set -l data ~/.local/share
    set -q XDG_DATA_HOME; and set data $XDG_DATA_HOME
    for file in $data/sbx/networks/*.json
        string replace -r '.*/(.*)\\.json$' '$1' -- $file
    end
end
function __sbx_sandboxes
    set -l data ~/.local/share
    set -q XDG_DATA_HOME; and set data $XDG_DATA_HOME
    set -l state ~/.local/state
    set -q XDG_STATE_HOME; and set state $XDG_STATE_HOME
    set -l run $state/sbx/run-(cat /proc/sys/kernel/random/boot_id)
    set -q XDG_RUNTIME_DIR; and set run $XDG_RUNTIME_DIR/sbx
    for file in $data/sbx/names/* $run/sandboxes/*
        string replace -r '.*/' '' -- $file
    end | sort -u
end
function __sbx_options
    test "$(__sbx_words)" = 0
end
function __sbx_command
    set -l count (__sbx_words); and test $count -gt 0
end
complete -c sbx -f
${Object.entries(commands)
  .map(([name, text]) => `${start} -a ${name} -d ${fishQuoted(text)}`)
  .join("\n")}
complete -c sbx -n '__sbx_is completion' -xa ${fishQuoted(shells.join(" "))}
complete -c sbx -n '__sbx_is check' -l json -d 'Print JSON'
complete -c sbx -n '__sbx_is explain; and not __sbx_words' -xa run
${Object.entries(families)
  .map(
    ([family, all]) =>
      `complete -c sbx -n '__sbx_is ${family}; and test (count (commandline -opc)) = 2' -xa ${fishQuoted(Object.keys(all).join(" "))}`,
  )
  .join("\n")}
complete -c sbx -n '__sbx_is diff' -xa '(__sbx_sandboxes) (__fish_complete_directories)'
complete -c sbx -n '__sbx_is diff' -l json -d 'Print JSON'
complete -c sbx -n '__sbx_is diff' -l lower -xa '(__fish_complete_directories)' -d 'What lies below'
complete -c sbx -n '__sbx_is volume' -xa ${fishQuoted(volumeCommands.join(" "))}
complete -c sbx -n __sbx_options -xa '(__fish_complete_directories)'
complete -c sbx -n __sbx_command -F
${lines.join("\n")}
`;
}

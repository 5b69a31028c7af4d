/** The completion script for zsh. */
import {
  commands,
  compileEntries,
  entries,
  explainEntries,
  type FamilyEntry,
  families,
  familyEntries,
  isToggle,
  liveEntries,
  negation,
  networkWords,
  quoted,
  shells,
  spellings,
  unshareEntries,
  volumeCommands,
  wordsFor,
} from "./completion-words.js";
import type { Option } from "./options/option.js";

/** Within an _arguments spec `:`, `[` and `]` have a meaning. */
function zshText(text: string): string {
  return text.replace(/[:[\]\\]/g, "\\$&");
}

const zshCompletes = {
  file: "_files",
  directory: "_directories",
  user: "_users",
  variable: "_parameters -g '*export*'",
  capability: "",
  profile: "{compadd default unconfined; _files}",
  sandbox: "{compadd private host $(_sbx_sandboxes | sed s/^/container:/)}",
  network: `{compadd ${networkWords.join(" ")} $(_sbx_networks)}`,
} as const satisfies Record<NonNullable<Option["completes"]>, string>;

const zshTakes = {
  profile: "_files",
  network: "{compadd $(_sbx_networks)}",
  sandbox: "{compadd $(_sbx_sandboxes)}",
  "sandbox or upper": "{compadd $(_sbx_sandboxes); _directories}",
} as const;

/** Made for zsh 5. */
export function zshScript(): string {
  const specs = ([name, option]: (typeof entries)[number]) => {
    const all = spellings(name, option);
    const description = `[${zshText(option.describe)}]`;
    if (isToggle(option)) {
      const exclusive = `(${[...all, ...negation(name, option)].join(" ")})`;
      return [
        ...all.map((each) => quoted(`${exclusive}${each}${description}`)),
        ...negation(name, option).map((each) =>
          quoted(`${exclusive}${each}[Not\\: ${description.slice(1)}`),
        ),
      ];
    }
    const words = wordsFor(option).map(zshText);
    const action =
      words.length > 0
        ? `(${words.join(" ")})`
        : option.completes === undefined
          ? " "
          : zshCompletes[option.completes];
    const before = option.array === true ? "*" : `(${all.join(" ")})`;
    return all.map((each) => {
      const attach = each.startsWith("--") ? "=" : "+";
      return quoted(`${before}${each}${attach}${description}:${name}:${action}`);
    });
  };
  const described = Object.entries(commands).map(([name, text]) => quoted(`${name}:${text}`));
  const caseOf = ({ path, options, takes }: FamilyEntry) => {
    const rest = `*:argument:${takes === null ? " " : zshTakes[takes]}`;
    const all = [...options.flatMap(specs), "'--help[Show help]'", quoted(rest)];
    return `        ${quoted(path)}) _arguments -s -S ${all.join(" \\\n          ")} ;;`;
  };
  const familyCommands = Object.entries(families).map(
    ([family, all]) => `        ${family}) compadd ${Object.keys(all).join(" ")} ;;`,
  );
  return `#compdef sbx
# zsh completion for sbx; install it as _sbx in a directory of $fpath
_sbx_networks() {
  print -rl -- \${XDG_DATA_HOME:-$HOME/.local/share}/sbx/networks/*.json(N:t:r)
}
_sbx_sandboxes() {
  local run=$XDG_RUNTIME_DIR/sbx
  [[ -n $XDG_RUNTIME_DIR ]] || run=\${XDG_STATE_HOME:-$HOME/.local/state}/sbx/run-$(</proc/sys/kernel/random/boot_id)
  print -rl -- \${XDG_DATA_HOME:-$HOME/.local/share}/sbx/names/*(N:t) $run/sandboxes/*(N:t) | sort -u
}
_sbx_run() {
  _arguments -s -S -A '-*' \\
    "$@" \\
    ${entries.flatMap(specs).join(" \\\n    ")} \\
    '--help[Show help]' \\
    '1:rootfs:_directories' \\
    '*:::command:_normal'
}
_sbx() {
  local -a commands=(
    ${described.join("\n    ")}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
    run|create) _sbx_run ;;
    explain)
      if ((CURRENT == 2)); then
        compadd run
      else
        shift words
        ((CURRENT--))
        _sbx_run ${explainEntries.flatMap(specs).join(" ")}
      fi
      ;;
    compile) _sbx_run ${compileEntries.flatMap(specs).join(" ")} ;;
    unshare)
      _arguments -s -S -A '-*' \\
        ${unshareEntries.flatMap(specs).join(" \\\n        ")} \\
        '--help[Show help]' \\
        '*:::command:_normal'
      ;;
${liveEntries.map(caseOf).join("\n")}
    diff) _arguments '*--lower=[What lies below]:lower:_directories' '--json[Print JSON]' '1:sandbox or upper:{compadd $(_sbx_sandboxes); _directories}' ;;
    completion) compadd ${shells.join(" ")} ;;
    volume) compadd -- ${volumeCommands.join(" ")} --json --quiet --all --force --help ;;
    check) compadd -- --json --help ;;
    ${Object.keys(families).join(" | ")})
      if ((CURRENT == 2)); then
        case $command in
${familyCommands.join("\n")}
        esac
        return
      fi
      command="$command $words[2]"
      shift words
      ((CURRENT--))
      case $command in
${familyEntries.map(caseOf).join("\n")}
      esac
      ;;
    help) _describe command commands ;;
  esac
}
if [[ $funcstack[1] == _sbx ]]; then _sbx "$@"; else compdef _sbx sbx; fi
`;
}

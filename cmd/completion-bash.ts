/** The completion script for bash. */
import {
  commands,
  compileEntries,
  createEntries,
  entries,
  explainEntries,
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

/** How bash completes what `completes` says. */
const bashCompletes = {
  file: 'mapfile -t COMPREPLY < <(compgen -f -- "$cur"); compopt -o filenames',
  directory: 'mapfile -t COMPREPLY < <(compgen -d -- "$cur"); compopt -o filenames',
  user: 'COMPREPLY=($(compgen -u -- "$cur"))',
  variable: 'COMPREPLY=($(compgen -e -- "$cur"))',
  capability: "",
  profile:
    'mapfile -t COMPREPLY < <(compgen -f -W "default unconfined" -- "$cur"); compopt -o filenames',
  sandbox: `COMPREPLY=($(compgen -W "private host $(_sbx_sandboxes | sed s/^/container:/)" -- "$cur"))`,
  network: `COMPREPLY=($(compgen -W "${networkWords.join(" ")} $(_sbx_networks)" -- "$cur"))`,
} as const satisfies Record<NonNullable<Option["completes"]>, string>;

/** Capabilities may be written in any case. */
function typed({ completes }: Option): string {
  return completes === "capability" ? `"\${cur^^}"` : '"$cur"';
}

/** The command that completes the word in `cur` as a value of the option. */
function valueAction(option: Option): string {
  const words = wordsFor(option);
  if (words.length > 0) {
    return `COMPREPLY=($(compgen -W ${quoted(words.join(" "))} -- ${typed(option)}))`;
  }
  return option.completes === undefined ? "COMPREPLY=()" : bashCompletes[option.completes];
}

/** Needs bash 4 (mapfile, compopt); no bash-completion package. */
export function bashScript(): string {
  const valued = [...entries, ...explainEntries, ...compileEntries].filter(
    ([, option]) => !isToggle(option),
  );
  const namesOf = (some: typeof entries) =>
    some.flatMap(([name, option]) => [...spellings(name, option), ...negation(name, option)]);
  const names = [...namesOf(entries), "--help"].join(" ");
  const explainNames = [...namesOf(explainEntries), names].join(" ");
  const cases = valued.map(
    ([name, option]) => `    ${spellings(name, option).join("|")}) ${valueAction(option)} ;;`,
  );
  const familyNames = [...familyEntries, ...liveEntries].map(
    ({ path, options, takes }) =>
      `        '${path}') names=${quoted([...namesOf(options), "--help"].join(" "))} takes=${quoted(takes ?? "nothing")} ;;`,
  );
  const familyCases = [...familyEntries, ...liveEntries].flatMap(({ path, options }) =>
    options
      .filter(([, option]) => !isToggle(option))
      .map(([name, option]) => {
        const patterns = spellings(name, option).map((each) => `'${path} ${each}'`);
        return `    ${patterns.join("|")}) ${valueAction(option)} ;;`;
      }),
  );
  const familyCommands = Object.entries(families).map(
    ([family, all]) =>
      `          ${family}) COMPREPLY=($(compgen -W ${quoted(Object.keys(all).join(" "))} -- "$cur")) ;;`,
  );
  const takesValue = valued.flatMap(([name, option]) => spellings(name, option)).join("|");
  return `# bash completion for sbx; install it as ~/.local/share/bash-completion/completions/sbx
_sbx_networks() {
  local file
  for file in "\${XDG_DATA_HOME:-$HOME/.local/share}"/sbx/networks/*.json; do
    file=\${file##*/}
    [[ $file == '*.json' ]] || echo "\${file%.json}"
  done
}
_sbx_sandboxes() {
  local file run=$XDG_RUNTIME_DIR/sbx
  [[ -n $XDG_RUNTIME_DIR ]] || run=\${XDG_STATE_HOME:-$HOME/.local/state}/sbx/run-$(</proc/sys/kernel/random/boot_id)
  # The names of those that are kept, then of those that run, which may be the same.
  for file in "\${XDG_DATA_HOME:-$HOME/.local/share}"/sbx/names/* "$run"/sandboxes/*; do
    [[ $file == *'*' ]] || echo "\${file##*/}"
  done | sort -u
}
_sbx_value() {
  case "$1" in
${cases.join("\n")}
    *) return 1 ;;
  esac
}
_sbx_family_value() {
  case "$path $1" in
${familyCases.join("\n")}
    *) return 1 ;;
  esac
}
# What stands before the last : or = of the word is no part of what bash replaces.
_sbx_trim() {
  local last=\${cur##*[=:]} i
  [[ $COMP_WORDBREAKS == *=* ]] || return
  for i in "\${!COMPREPLY[@]}"; do
    COMPREPLY[i]=\${COMPREPLY[i]#"\${cur%"$last"}"}
    [[ -n \${COMPREPLY[i]} ]] || unset "COMPREPLY[i]"
  done
  # More is to follow a name such as nofile=.
  if [[ \${COMPREPLY[*]} == *= ]]; then compopt -o nospace; fi
}
_sbx() {
  local cur=\${COMP_WORDS[COMP_CWORD]} line=\${COMP_LINE:0:COMP_POINT} word path takes prev= i=1 names=${quoted(names)}
  local -a words=()
  # bash splits at = and :, which belong to the words here.
  read -r -a words <<<"$line"
  case "$line" in *[[:space:]]) words+=("") ;; esac
  local last=$((\${#words[@]} - 1))
  local whole=\${words[last]}
  COMPREPLY=()
  if ((last <= 1)); then
    COMPREPLY=($(compgen -W ${quoted([...Object.keys(commands), "--help", "--version"].join(" "))} -- "$cur"))
    return
  fi
  case "\${words[1]}" in
    run | create)
      i=2
      [[ \${words[1]} == create ]] && names=${quoted([...namesOf(createEntries), "--help"].join(" "))}
      ;;
    explain)
      i=2
      names=${quoted(explainNames)}
      if ((last == 2)); then
        COMPREPLY=($(compgen -W run -- "$cur"))
        return
      fi
      [[ \${words[2]} == run ]] && i=3
      ;;
    compile)
      i=2
      names=${quoted([...namesOf(compileEntries), names].join(" "))}
      ;;
    unshare)
      i=2
      names=${quoted([...namesOf(unshareEntries), "--help"].join(" "))}
      ;;
    diff)
      if [[ $whole == -* ]]; then
        COMPREPLY=($(compgen -W '--lower --json --help' -- "$cur"))
      else
        mapfile -t COMPREPLY < <(compgen -W "$(_sbx_sandboxes)" -- "$cur"; compgen -d -- "$cur")
        compopt -o filenames
      fi
      return
      ;;
    completion)
      ((last == 2)) && COMPREPLY=($(compgen -W ${quoted(shells.join(" "))} -- "$cur"))
      return
      ;;
    volume)
      COMPREPLY=($(compgen -W ${quoted([...volumeCommands, "--json", "--quiet", "--all", "--force", "--help"].join(" "))} -- "$cur"))
      return
      ;;
    check)
      COMPREPLY=($(compgen -W '--json --help' -- "$cur"))
      return
      ;;
    ${[...Object.keys(families), ...liveEntries.map((each) => each.path)].join(" | ")})
      path=\${words[1]}
      case "$path" in
        ${Object.keys(families).join(" | ")})
          if ((last == 2)); then
            case "$path" in
${familyCommands.join("\n")}
            esac
            return
          fi
          path+=" \${words[2]}"
          ;;
      esac
      case "$path" in
${familyNames.join("\n")}
        *) return ;;
      esac
      if [[ $whole == --*=* ]]; then
        cur=\${whole#*=}
        _sbx_family_value "\${whole%%=*}"
        [[ $COMP_WORDBREAKS == *=* ]] || COMPREPLY=("\${COMPREPLY[@]/#/\${whole%%=*}=}")
      elif _sbx_family_value "\${words[last - 1]}"; then
        :
      elif [[ $whole == -* ]]; then
        COMPREPLY=($(compgen -W "$names" -- "$cur"))
      elif [[ $takes == 'sandbox or upper' && $whole == */* ]]; then
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        compopt -o filenames
      elif [[ $takes == sandbox* ]]; then
        COMPREPLY=($(compgen -W "$(_sbx_sandboxes)" -- "$cur"))
      elif [[ $takes == network ]]; then
        COMPREPLY=($(compgen -W "$(_sbx_networks)" -- "$cur"))
      elif [[ $takes == profile ]]; then
        mapfile -t COMPREPLY < <(compgen -W default -- "$cur"; compgen -f -- "$cur")
        compopt -o filenames
      fi
      return
      ;;
    help)
      ((last == 2)) && COMPREPLY=($(compgen -W ${quoted(Object.keys(commands).join(" "))} -- "$cur"))
      return
      ;;
    *) return ;;
  esac
  for (( ; i < last; i++)); do
    word=\${words[i]}
    prev=
    case "$word" in
      --)
        ((i++))
        break
        ;;
      ${takesValue})
        prev=$word
        ((i + 1 == last)) && break
        ((i++))
        prev=
        ;;
      -*) ;;
      *) break ;;
    esac
  done
  if [[ -n $prev ]]; then
    cur=$whole
    _sbx_value "$prev"
    _sbx_trim
  elif ((i < last)); then
    # After ROOTFS come the command, which only the rootfs knows, and its words.
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    compopt -o filenames
  elif [[ $whole == --*=* ]]; then
    cur=\${whole#*=}
    _sbx_value "\${whole%%=*}"
    _sbx_trim
    [[ $COMP_WORDBREAKS == *=* ]] || COMPREPLY=("\${COMPREPLY[@]/#/\${whole%%=*}=}")
  elif [[ $whole == -* ]]; then
    COMPREPLY=($(compgen -W "$names" -- "$cur"))
  else
    mapfile -t COMPREPLY < <(compgen -d -- "$cur")
    compopt -o filenames
  fi
}
complete -F _sbx sbx
`;
}

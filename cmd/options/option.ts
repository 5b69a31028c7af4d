/** What an option is: yargs's words for it, plus those that parsing, completions and configuration files need. */

export interface Option {
  readonly type: "string" | "boolean";
  readonly describe: string;
  /** Heading in the help. */
  readonly group: string;
  readonly alias?: string | readonly string[];
  /** What the help names as default. Parsing leaves an option that is not given out. */
  readonly defaultDescription?: string;
  readonly choices?: readonly string[];
  /** May be given several times; the values add up. */
  readonly array?: true;
  /** Those of a stronger place take the place of a weaker one's, instead. */
  readonly overrides?: true;
  /** One value for each time it is given, and it may begin with a dash. */
  readonly nargs?: 1;
  readonly conflicts?: readonly string[];
  /** What a shell completes the value with, where there are no choices. */
  readonly completes?:
    | "file"
    | "directory"
    | "user"
    | "capability"
    | "variable"
    | "profile"
    | "sandbox"
    | "network";
  /** What completions offer where the value is one of an open set. */
  readonly suggestions?: readonly string[];
  /** False where `--no-x` is only an explained error. */
  readonly negatable?: false;
  /** False where the option has no meaning in a configuration file. */
  readonly configurable?: false;
}

export type OptionTable = Readonly<Record<string, Option>>;

/** Commands by name; `words` are what each takes besides options, `usage` is the text above them in its help. */
export type CommandTable = Readonly<
  Record<string, { readonly words: string; readonly usage: string; readonly options: OptionTable }>
>;

/** The commands of a command, as `sbx network` has them; `describe` is a line of its help. */
export type FamilyTable = Readonly<
  Record<
    string,
    { readonly words: string; readonly describe: string; readonly options: OptionTable }
  >
>;

/** What options are made of whose heading in the help is `group`. */
export function under<const G extends string>(group: G) {
  return {
    value: { type: "string", nargs: 1, group },
    /** Any number of values. */
    values: { type: "string", nargs: 1, array: true, group },
    /** `--x` or `--no-x`. */
    toggle: { type: "boolean", group },
    /** There is no `--no-x`. */
    flag: { type: "boolean", negatable: false, group },
  } as const;
}

/** What is given for each option of a table, as it was written; what was not given is absent. */
export type FlagsOf<T extends OptionTable> = {
  -readonly [K in keyof T]?: T[K] extends { type: "boolean" }
    ? boolean
    : T[K] extends { array: true }
      ? string[]
      : string;
};

/** The names of an option besides the long one. */
export function aliasesOf({ alias }: Option): readonly string[] {
  return alias === undefined ? [] : typeof alias === "string" ? [alias] : alias;
}

/** The long name for any name of an option, or null where there is no such option. */
export function optionNamed(table: OptionTable, name: string): string | null {
  if (Object.hasOwn(table, name)) return name;
  const entry = Object.entries(table).find(([, option]) => aliasesOf(option).includes(name));
  return entry?.[0] ?? null;
}

/** All names of more than one letter, for "did you mean". */
export function longNames(table: OptionTable): string[] {
  return Object.entries(table)
    .flatMap(([name, option]) => [name, ...aliasesOf(option)])
    .filter((name) => name.length > 1);
}

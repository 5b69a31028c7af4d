/** What can be shown to whoever reads what is printed. */

/** What the reader's side can show. */
export interface Screen {
  /** The locale is one of UTF-8. */
  readonly utf8: boolean;
  readonly terminal: boolean;
  readonly colour: boolean;
}

/** Colours as no-color.org has it. LC_ALL wins over LC_CTYPE, and that over LANG: locale(7). */
export function screenOf(environment: NodeJS.ProcessEnv, terminal: boolean): Screen {
  const { LC_ALL, LC_CTYPE, LANG, NO_COLOR, TERM } = environment;
  return {
    utf8: /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || ""),
    terminal,
    colour: terminal && !NO_COLOR && TERM !== "dumb",
  };
}

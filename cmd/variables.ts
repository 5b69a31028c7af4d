/** The environment that `--env` and `--env-file` ask for. */
import { fail } from "../spec/error.js";
import type { Flags } from "./options.js";
import { readVariable, type Variable } from "./values.js";

/** What building a spec asks of the machine. */
export interface FlagEnvironment {
  /** The text of a file, or a thrown error of Node's fs. */
  readonly readFile: (path: string) => string;
}

/** Variables of `--env-file`, then those of `--env`, by name: the last setting counts. */
export function readVariables(flags: Flags, environment: FlagEnvironment): Map<string, Variable> {
  const fromFiles = (flags["env-file"] ?? []).flatMap((path) => readEnvFile(path, environment));
  const fromFlags = (flags.env ?? []).map((text) => readVariable(text, `--env ${text}`));
  return new Map([...fromFiles, ...fromFlags].map((variable) => [variable.name, variable]));
}

/** Lines `K=V` or `K`, comments and empty lines aside; values are taken as they stand: podman-run(1). */
function readEnvFile(path: string, { readFile }: FlagEnvironment): Variable[] {
  const at = `--env-file ${path}`;
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    fail(at, (error as Error).message, "Give the path of a file that you may read");
  }
  return text.split("\n").flatMap((line, index) => {
    const setting = line.trimStart().replace(/\r$/, "");
    if (setting === "" || setting.startsWith("#")) return [];
    return [readVariable(setting, `${path}:${index + 1}`)];
  });
}

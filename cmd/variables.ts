/** The environment that `--env` and `--env-file` ask for. */
import { fail } from "../spec/error.js";
import type { MountPlaces } from "./mounts.js";
import type { Flags } from "./options/run.js";
import type { FindDisk } from "./resource-flags.js";
import { readVariable, type Variable } from "./values.js";

/** What building a spec asks of the machine. */
export interface FlagEnvironment {
  readonly places: MountPlaces;
  readonly findDisk: FindDisk;
  /** The text of a file, null where it does not exist; fails, naming `at`, where it cannot be read. */
  readonly readFile: (path: string, at: string) => string | null;
  /** What `readFilter` gave for these flags. */
  readonly profile?: Record<string, unknown> | undefined;
}

/** Variables of `--env-file`, then those of `--env`, by name: the last setting counts. */
export function readVariables(
  flags: Pick<Flags, "env" | "env-file">,
  environment: Pick<FlagEnvironment, "readFile">,
): Map<string, Variable> {
  const fromFiles = (flags["env-file"] ?? []).flatMap((path) => readEnvFile(path, environment));
  const fromFlags = (flags.env ?? []).map((text) => readVariable(text, `--env ${text}`));
  return new Map([...fromFiles, ...fromFlags].map((variable) => [variable.name, variable]));
}

/** Lines `K=V` or `K`, comments and empty lines aside; values are taken as they stand: podman-run(1). */
function readEnvFile(path: string, { readFile }: Pick<FlagEnvironment, "readFile">): Variable[] {
  const at = `--env-file ${path}`;
  const text = readFile(path, at);
  if (text === null) fail(at, "No such file or directory (ENOENT)");
  return text.split("\n").flatMap((line, index) => {
    const setting = line.trimStart().replace(/\r$/, "");
    if (setting === "" || setting.startsWith("#")) return [];
    return [readVariable(setting, `${path}:${index + 1}`)];
  });
}

/** What is asked for: the words of a command line, configuration files and this machine, as a spec and a host. */
import { dataDirectory } from "../launch/facts/directories.js";
import { findDisk } from "../launch/facts/disks.js";
import { probe } from "../launch/facts/probe.js";
import {
  absolutePath,
  existsSync,
  realpathSync,
  recordedVariables,
  statSync,
} from "../launch/facts/readings.js";
import { isSystemError } from "../launch/facts/system-error.js";
import { joinedBy, readJoined } from "../launch/plan/joined.js";
import { networkStore, readNetworks } from "../launch/store/networks.js";
import { volumeStore } from "../launch/store/volumes.js";
import { fail } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import type { Spec } from "../spec/spec.js";
import { withConfig } from "./config.js";
import { type Reading, readText } from "./files.js";
import { readFilter } from "./filter.js";
import { specFromFlags } from "./flags.js";
import { refuseOtherLife } from "./life-flags.js";
import type { Flags } from "./options/run.js";
import type { ParsedRun } from "./parse.js";

/** The caller's: what is looked at is a reading too. */
const environment = recordedVariables(process.env);

/** A command line understood, on this machine. */
export interface Request {
  readonly spec: Spec;
  readonly host: Host;
}

/** From a parsed command line; fails with an `SbxError` on anything wrong with it. */
export async function readRequest(
  parsed: ParsedRun,
  reading: Reading = { pipes: true },
): Promise<Request> {
  const { spec, flags } = await readSpec(parsed, reading);
  if (flags.detach === true) {
    fail(
      "--detach",
      "what would be done depends on a directory, which is not made here",
      "Make it: sbx create; then sbx inspect shows its plan",
    );
  }
  refuseOtherLife(flags, false);
  if (flags.name !== undefined) await refuseKeptName(flags.name);
  return requestOf(spec);
}

/** A name is one sandbox's; of those that run the program itself knows. */
async function refuseKeptName(name: string): Promise<void> {
  const { holderOf, nameFile } = await import("../launch/life/kept-names.js");
  const data = dataDirectory(environment, environment.HOME ?? "/");
  // Noted down: a program that is used again depends on it.
  if (existsSync(nameFile(data, name)) && holderOf(data, name) !== null) {
    fail(
      `--name ${name}`,
      "a sandbox of that name is kept",
      `Choose another, or sbx start ${name}`,
    );
  }
}

/** What it says, and the flags that this was read from, those of configuration files among them. */
export async function readSpec(
  { flags, rootfs, command }: ParsedRun,
  reading: Reading,
  configuration: "all" | "named" = "all",
): Promise<{ spec: Spec; flags: Flags }> {
  // Another version of sbx makes other programs.
  statSync(import.meta.filename);
  const readFile = (path: string, at: string) => readText(path, at, reading);
  const merged = await withConfig(flags, {
    variables: environment,
    home: environment.HOME ?? "/",
    readFile: (path, at) =>
      configuration === "all" || path === flags.config ? readFile(path, at) : null,
  });
  const profile = await readFilter(merged, { readFile });
  const places = { absolute: realPath, volumes: volumeStore(environment, environment.HOME ?? "/") };
  const spec = specFromFlags(merged, rootfs, command, {
    readFile,
    profile,
    places,
    findDisk,
  });
  return { spec, flags: merged };
}

/** A spec on this machine, as it is now. */
export async function requestOf(spec: Spec): Promise<Request> {
  const host = probe(spec.root.path, environment, undefined, spec.sbx, spec.linux.resources);
  const by = joinedBy(spec.sbx);
  if (by === null) return { spec, host };
  const { callersPlaces, findRunning } = await import("../launch/life/sandboxes.js");
  const sandbox = await findRunning(callersPlaces(environment), by.sandbox);
  const joined = readJoined(sandbox, by.types, host.run);
  if (!by.types.includes("network")) return { spec, host: { ...host, joined } };
  // Those that the other is on, whose resolver is asked.
  const networks = readNetworks(joined.spec.sbx.network, networkStore(environment, host.user.home));
  return { spec, host: { ...host, joined, networks } };
}

/** Without links, by which mounts below it are told; as it is where there is no such file. */
function realPath(path: string): string {
  const absolute = absolutePath(path);
  try {
    return realpathSync(absolute);
  } catch (error) {
    // Whoever starts the program is told then what is wrong with it.
    if (isSystemError(error)) return absolute;
    throw error;
  }
}

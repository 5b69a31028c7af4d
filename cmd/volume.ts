/** `sbx volume`: the named volumes that `-v NAME:PATH` uses. */
import { randomBytes } from "node:crypto";
import { writeSync } from "node:fs";
import { join } from "node:path";
import { listKept } from "../launch/life/kept.js";
import { callersPlaces } from "../launch/life/sandboxes.js";
import {
  createVolume,
  findVolume,
  listVolumes,
  removeVolume,
  type Volume,
  volumeStore,
} from "../launch/store/volumes.js";
import { fail, renderProblem } from "../spec/error.js";
import type { volumeCommands } from "./completion-words.js";
import { confirm } from "./confirm.js";
import { requireVolumeName } from "./mount-values.js";
import { print } from "./print.js";

export interface VolumeFlags {
  readonly names: readonly string[];
  readonly json: boolean;
  readonly quiet: boolean;
  readonly force: boolean;
  readonly all: boolean;
}

/** Carries `sbx volume COMMAND` out. Gives 0, or 1 where some of the volumes could not be had. */
export async function volume(
  command: (typeof volumeCommands)[number],
  flags: VolumeFlags,
): Promise<number> {
  const store = volumeStore(process.env, process.env.HOME ?? "/");
  for (const name of flags.names) requireVolumeName(name, `volume ${command} ${name}`);
  switch (command) {
    case "create":
      return create(store, flags.names);
    case "ls":
      return list(store, flags);
    case "inspect":
      return inspect(store, flags);
    case "rm":
      return remove(store, flags);
    case "prune":
      return prune(store, flags);
  }
}

function create(store: string, names: readonly string[]): number {
  const [name = randomBytes(32).toString("hex"), ...rest] = names;
  if (rest.length > 0) fail("volume create", "makes one volume, and several names are given");
  if (!createVolume(store, name)) fail(`volume create ${name}`, "there is one of that name");
  print(`${name}\n`);
  return 0;
}

const described = ({ name, mountpoint, createdMs }: Volume) => ({
  Name: name,
  Driver: "local",
  Mountpoint: mountpoint,
  CreatedAt: new Date(createdMs).toISOString(),
});

const json = (volumes: readonly Volume[]) => `${JSON.stringify(volumes.map(described), null, 2)}\n`;

function list(store: string, { json: asJson, quiet, names }: VolumeFlags): number {
  if (names.length > 0) fail("volume ls", "takes no names");
  const volumes = listVolumes(store);
  if (asJson) print(json(volumes));
  else if (quiet) print(volumes.map(({ name }) => `${name}\n`).join(""));
  else
    print(
      ["DRIVER      VOLUME NAME", ...volumes.map(({ name }) => `local       ${name}`), ""].join(
        "\n",
      ),
    );
  return 0;
}

function inspect(store: string, { names, all }: VolumeFlags): number {
  if (!all && names.length === 0) fail("volume inspect", "no volume is named", "Or give --all");
  const volumes = all ? listVolumes(store) : names.map((name) => required(store, name));
  print(json(volumes));
  return 0;
}

function required(store: string, name: string): Volume {
  return (
    findVolume(store, name) ??
    fail(`volume ${name}`, "there is no such volume", "`sbx volume ls` shows those that there are")
  );
}

async function remove(store: string, { names, all, force }: VolumeFlags): Promise<number> {
  if (!all && names.length === 0) fail("volume rm", "no volume is named", "Or give --all");
  const owners = keptOwners();
  let status = 0;
  for (const name of all ? listVolumes(store).map((each) => each.name) : names) {
    // As with podman, --force is content where there is nothing to remove.
    if (force && findVolume(store, name) === null) continue;
    required(store, name);
    const owner = owners.get(join(store, name));
    const why =
      owner !== undefined
        ? `the sandbox ${owner}, which is kept, has it`
        : (await removeVolume(store, name))
          ? null
          : "a sandbox uses it";
    if (why === null) print(`${name}\n`);
    else {
      const hint = owner === undefined ? "End that first" : `Remove that first: sbx rm ${owner}`;
      writeSync(2, `${renderProblem({ what: `remove the volume ${name}`, why, hint })}\n`);
      status = 1;
    }
  }
  return status;
}

/** By the directory of a volume, a sandbox that will have it when it is started again. */
function keptOwners(): Map<string, string> {
  const { kept } = listKept(callersPlaces(process.env).data);
  return new Map(
    kept.flatMap(({ name, spec }) =>
      (spec.sbx.volumes ?? []).map(({ path }): [string, string] => [path, name]),
    ),
  );
}

async function prune(store: string, { force }: VolumeFlags): Promise<number> {
  const owners = keptOwners();
  const volumes = listVolumes(store).filter(({ name }) => !owners.has(join(store, name)));
  const what = "All volumes that no sandbox uses will be removed with what they hold:\n";
  const names = volumes.map(({ name }) => `  ${name}\n`).join("");
  if (!force && !(await confirm("volume prune", what + names))) return 0;
  for (const { name } of volumes) {
    if (await removeVolume(store, name)) print(`${name}\n`);
  }
  return 0;
}

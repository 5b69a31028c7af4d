/** The OCI mounts that the options of a command line make, and the volumes among them. */
import { fail } from "../spec/error.js";
import type { Mount, SbxKeys } from "../spec/spec.js";
import { type MountRequest, readDevice, readMount, readTmpfs, readVolume } from "./mount-values.js";
import type { Flags } from "./options/run.js";
import type { Reader } from "./privileges.js";

/** Where the paths and names of a command line lead on this machine. */
export interface MountPlaces {
  /** The absolute path of a source, free of links where there is such a file. */
  readonly absolute: (path: string) => string;
  /** The directory of all volumes. */
  readonly volumes: string;
}

/** The mounts of a spec, and the volumes among them: `base` with what the flags add and replace. */
export function specMounts(
  base: readonly Mount[],
  flags: Flags,
  places: MountPlaces,
): { mounts: Mount[]; volumes: SbxKeys["volumes"] } {
  const requests = requestedMounts(flags);
  for (const [index, { destination }] of requests.entries()) {
    if (requests.findIndex((other) => other.destination === destination) !== index) {
      fail(`mount ${destination}`, "two mounts have that destination", "Leave one of them out");
    }
  }
  const kept = base.filter((mount) =>
    requests.every(({ destination }) => destination !== mount.destination),
  );
  const depth = ({ destination }: Mount) => destination.split("/").length;
  // What contains another comes first, whatever the order on the command line: as podman has it.
  const mounts = [...kept, ...requests.map((request) => mountOf(request, places))].sort(
    (a, b) => depth(a) - depth(b),
  );
  const names = requests.flatMap(({ type, source }) =>
    type === "volume" && source !== null ? [source] : [],
  );
  const volumes = [...new Set(names)].map((name) => ({ path: `${places.volumes}/${name}` }));
  return { mounts, volumes: volumes.length === 0 ? undefined : volumes };
}

function requestedMounts(flags: Flags): MountRequest[] {
  const read = (option: "volume" | "mount" | "tmpfs" | "device", reader: Reader<MountRequest>) =>
    (flags[option] ?? []).map((text) => reader(text, `--${option} ${text}`));
  return [
    ...read("volume", readVolume),
    ...read("mount", readMount),
    ...read("tmpfs", readTmpfs),
    ...read("device", readDevice),
  ];
}

/** SELinux labels are not changed, nothing is copied: what asks for that, or against it, means nothing. */
const withoutMeaning = ["z", "Z", "nocopy", "notmpcopyup"];

function mountOf({ type, source, destination, options }: MountRequest, places: MountPlaces): Mount {
  const given = options.filter((option) => !withoutMeaning.includes(option));
  const unless = (opposite: string, option: string) =>
    given.includes(opposite) || given.includes(option) ? [] : [option];
  const guarded = [...unless("suid", "nosuid"), ...unless("dev", "nodev")];
  switch (type) {
    case "tmpfs": {
      const all = [...given, ...guarded, ...unless("exec", "noexec")];
      return { destination, type, source: "tmpfs", options: all };
    }
    case "device":
      return {
        destination,
        type: "bind",
        source: source ?? "",
        options: ["rbind", "nosuid", "noexec"],
      };
    case "bind":
    case "volume": {
      const all = [...given, ...guarded, ...unless("bind", "rbind")];
      if (source === null) return { destination, type, options: all };
      const path = type === "bind" ? places.absolute(source) : `${places.volumes}/${source}/_data`;
      // A slip that would take a home or a system from its owners.
      if (given.includes("U") && /^\/[^/]*$|^\/home\/[^/]*$/.test(path)) {
        fail(`mount ${path}`, "U is not for whole directories of the system", "Name one below it");
      }
      return { destination, type: "bind", source: path, options: all };
    }
  }
}

/** The values of the options that mount something, as podman-run(1) has them: -v, --mount, --tmpfs and --device. */
import { posix } from "node:path";
import { fail } from "../spec/error.js";
import { didYouMean } from "../spec/nearest.js";
import type { Reader } from "./privileges.js";

/** A mount as a command line asks for it. */
export interface MountRequest {
  readonly type: "bind" | "volume" | "tmpfs" | "device";
  /** A path of the host's, relative to where sbx runs, or a volume's name; null for an anonymous one. */
  readonly source: string | null;
  readonly destination: string;
  readonly options: readonly string[];
}

/** Options of which at most one may be given. */
const alternatives: readonly (readonly string[])[] = [
  ["ro", "rw"],
  ["exec", "noexec"],
  ["suid", "nosuid"],
  ["dev", "nodev"],
  ["z", "Z"],
  ["bind", "rbind"],
  ["private", "rprivate", "slave", "rslave", "shared", "rshared"],
];
const bindOptions = [...alternatives.flat(), "U", "nocopy"];
const tmpfsOptions = [...alternatives.slice(0, 4).flat(), "notmpcopyup"];
/** What tmpfs(5) takes besides. */
const tmpfsSettings =
  /^(size=[0-9]+[kmg%]?|(mode|uid|gid|nr_inodes)=[0-9]+[kmg]?|huge=(never|always|within_size|advise))$/i;

/** What podman has and sbx has not, with the way out. */
const missing: ReadonlyMap<string, string> = new Map([
  ["O", "The whole rootfs is an overlay: use ro, or copy the directory"],
  ["copy", "Volumes begin empty: copy what they shall hold yourself"],
  ["tmpcopyup", "A tmpfs begins empty: copy what it shall hold yourself"],
  ["idmap", "Ids are those of the sandbox's own map: see --userns, and U"],
]);

function checkOptions(options: readonly string[], known: readonly string[], at: string): void {
  for (const option of options) {
    const [name = "", value] = option.split(/=(.*)/s);
    if (known.includes(option) || (known === tmpfsOptions && tmpfsSettings.test(option))) continue;
    if (known === tmpfsOptions && /^(size|mode|uid|gid|nr_inodes|huge)$/.test(name)) {
      fail(
        at,
        `${name} cannot be ${JSON.stringify(value ?? "")}`,
        "As in size=64m, mode=1777, uid=0",
      );
    }
    const hint = missing.get(name) ?? didYouMean(option, known) ?? `There are ${known.join(", ")}`;
    fail(at, `${JSON.stringify(option)} is no option of such a mount`, hint);
  }
  for (const group of alternatives) {
    const given = [...new Set(options.filter((option) => group.includes(option)))];
    if (given.length > 1) fail(at, `${given.join(" and ")} exclude each other`);
  }
}

function destinationOf(path: string, at: string): string {
  if (!path.startsWith("/")) fail(at, `${JSON.stringify(path)} is no absolute path inside`);
  const normal = posix.normalize(path).replace(/(?<=.)\/$/, "");
  return normal === "/" ? fail(at, "the root itself cannot be mounted over") : normal;
}

/** As podman has them: define.RegexError of its libpod. */
export function requireVolumeName(name: string, at: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name) && name.length <= 255) return name;
  return fail(
    at,
    `${JSON.stringify(name)} is no name of a volume`,
    "It has letters, digits, _ . and -, and begins with a letter or digit; a path begins with / or ./",
  );
}

function sourceOf(source: string, at: string): Pick<MountRequest, "type" | "source"> {
  if (/^(\/|\.\.?(\/|$))/.test(source)) return { type: "bind", source };
  return { type: "volume", source: requireVolumeName(source, at) };
}

export const readVolume: Reader<MountRequest> = (text, at) => {
  const [first = "", second, words, ...rest] = text.split(":");
  if (rest.length > 0 || first === "" || second === "") {
    fail(at, "must be [SOURCE:]DESTINATION[:OPTIONS]", "--mount takes paths with colons in them");
  }
  if (second === undefined) {
    return { type: "volume", source: null, destination: destinationOf(first, at), options: [] };
  }
  const options = words === undefined || words === "" ? [] : words.split(",");
  checkOptions(options, bindOptions, at);
  return { ...sourceOf(first, at), destination: destinationOf(second, at), options };
};

export const readTmpfs: Reader<MountRequest> = (text, at) => {
  const [path = "", ...words] = text.split(":");
  const options = words.length === 0 ? [] : words.join(":").split(",");
  checkOptions(options, tmpfsOptions, at);
  return { type: "tmpfs", source: null, destination: destinationOf(path, at), options };
};

export const readDevice: Reader<MountRequest> = (text, at) => {
  const parts = text.split(":");
  const isAccess = (word = "") => /^[rwm]{1,3}$/.test(word);
  const access = parts.length > 1 && isAccess(parts.at(-1)) ? parts.pop() : undefined;
  const [source = "", destination = source, ...rest] = parts;
  if (!source.startsWith("/") || rest.length > 0) {
    fail(at, "must be HOST[:CONTAINER][:rwm]", "As in /dev/fuse, or /dev/kvm:/dev/kvm:rw");
  }
  if (access !== undefined && !(access.includes("r") && access.includes("w"))) {
    fail(
      at,
      `access cannot be reduced to ${access}: only root could set rules for devices`,
      "Give rw or rwm; the file's own mode decides what you may",
    );
  }
  return { type: "device", source, destination: destinationOf(destination, at), options: [] };
};

/** Fields of one line of comma-separated values, as podman takes them: RFC 4180. */
function fields(text: string, at: string): string[] {
  const pattern = /(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))(?=,|$)/gy;
  const found: string[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index !== end) break;
    end += match[0].length;
    found.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? "");
  }
  return end === text.length ? found : fail(at, "quotes must be around a whole KEY=VALUE");
}

/** Keys of --mount by their names and aliases. */
const keyNames: ReadonlyMap<string, string> = new Map([
  ["source", "src"],
  ["destination", "dst"],
  ["target", "dst"],
  ["readonly", "ro"],
  ["chown", "U"],
  ["bind-propagation", "propagation"],
  ["tmpfs-size", "size"],
  ["tmpfs-mode", "mode"],
  ["volume-nocopy", "nocopy"],
]);
const switches = ["ro", "rw", "U", "nocopy", "exec", "noexec", "suid", "nosuid", "dev", "nodev"];

export const readMount: Reader<MountRequest> = (text, at) => {
  const settings = new Map<string, string>();
  const options: string[] = [];
  for (const field of fields(text, at)) {
    const [given = "", value] = field.split(/=(.*)/s);
    const key = keyNames.get(given) ?? given;
    if (key === "relabel" || key === "consistency") continue;
    if (switches.includes(key) || key === "bind-nonrecursive" || key.endsWith("tmpcopyup")) {
      const on = value === undefined || value === "true";
      if (!on && value !== "false") fail(at, `${given} takes true or false`);
      const name = key === "bind-nonrecursive" ? "bind" : key;
      if (on) options.push(name);
      else if (key === "ro" || key === "rw") options.push(key === "ro" ? "rw" : "ro");
    } else if (value === undefined || value === "") fail(at, `${given || "a key"} needs a value`);
    else if (key === "propagation") options.push(value);
    else if (key === "size" || key === "mode") options.push(`${key}=${value}`);
    else if (key === "type" || key === "src" || key === "dst") {
      if (settings.has(key)) fail(at, `${given} is given twice`);
      settings.set(key, value);
    } else {
      const known = ["type", "src", "dst", ...keyNames.keys(), ...switches];
      fail(at, `no such key: ${given}`, missing.get(given) ?? didYouMean(given, known));
    }
  }
  const type = settings.get("type") ?? "volume";
  const destination = destinationOf(
    settings.get("dst") ?? fail(at, "no destination is given", "Add dst=PATH"),
    at,
  );
  const source = settings.get("src") ?? null;
  switch (type) {
    case "tmpfs":
      if (source !== null) fail(at, "a tmpfs has no source");
      checkOptions(options, tmpfsOptions, at);
      return { type, source, destination, options };
    case "bind":
      if (source === null) fail(at, "no source is given", "Add src=PATH");
      checkOptions(options, bindOptions, at);
      return { type, source, destination, options };
    case "volume":
      checkOptions(options, bindOptions, at);
      if (source !== null) requireVolumeName(source, at);
      return { type, source, destination, options };
    default:
      return fail(at, `type ${type} is not known`, "There are bind, volume and tmpfs");
  }
};

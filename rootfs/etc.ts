/**
 * The init layer: files of /etc that tell of the machine a process is on, and so are the sandbox's own.
 * They lie in its memory, and are mounted over those of the rootfs, so that they are part of no layer.
 *
 * What is in them is what podman 5 and docker 28 put there.
 */
import { createHash } from "node:crypto";
import type { RestrictingFlag } from "../spec/actions/mounts.js";
import type { Host } from "../spec/host.js";
import { type EtcFileName, etcFileNames, type Place } from "../spec/host-rootfs.js";
import type { Spec } from "../spec/spec.js";
import type { Action, Step } from "../spec/step.js";
import { chooseRung, hasInitLayer, needsOverlay } from "./ladder.js";
import { contains } from "./paths.js";
import { restrictMount } from "./restrict.js";
import { base } from "./root.js";

const directory = `${base}/etc`;
const restrict = restrictMount("filesystems");

/** What files of /etc say of the network: netns/names.ts. */
export interface Names {
  /** The text of resolv.conf(5). */
  readonly resolvConf: string;
  /** Lines of hosts(5) before the sandbox's own names. */
  readonly hosts: readonly string[];
  /** Addresses on the way to which the sandbox's own are found; none where it has but a loopback. */
  readonly towards: readonly string[];
}

export interface EtcPlan {
  /** Out of the rootfs's reach: the files, each a mount. */
  readonly staged: readonly Step[];
  /** Once there is a network. */
  readonly named: readonly Step[];
  readonly attach: readonly Step[];
  readonly notes: readonly string[];
}

/** What is mounted where: a text in a file of the sandbox's own, or a file of the host's. */
interface EtcMount {
  readonly name: EtcFileName;
  readonly source: { readonly text: string } | { readonly path: string };
  /** Inside, without links. */
  readonly path: string;
}

/** `hasId`: whether an id of the host's users has one inside. */
export function planEtc(
  spec: Spec,
  host: Host,
  names: Names,
  hasId: (uid: number) => boolean,
): EtcPlan {
  const { etcFiles } = spec.sbx;
  if (etcFiles === undefined) return { staged: [], named: [], attach: [], notes: [] };
  const notes: string[] = [];
  const mounts = etcFileNames.flatMap((name): EtcMount[] => {
    const source = sourceOf(name, spec, host, names);
    const found = host.rootfs.etc[name];
    const isOptional = name === "machine-id" || name === "localtime";
    if (source === null || (isOptional && found !== null && found.type !== "absent")) return [];
    const why = found === null ? "its path leads nowhere" : refusal(found, spec, host, hasId);
    if (found !== null && why === null) return [{ name, source, path: found.path }];
    notes.push(`no /etc/${name} of the sandbox's own: ${why}`);
    return [];
  });
  return {
    staged: [
      step({ kind: "mkdir", path: directory, mode: 0o755, isNew: true }),
      ...mounts.flatMap((mount) => stagedSteps(mount, spec, host)),
    ],
    named: mounts.some(({ name }) => name === "hosts") ? nameSteps(spec, host, names) : [],
    attach: mounts.map(({ name, path }) =>
      step({ kind: "attach", staged: `${directory}/${name}`, path, what: `its own ${name}` }),
    ),
    notes,
  };
}

/** Why nothing can be mounted at a place, or null. */
function refusal(
  place: Place,
  spec: Spec,
  host: Host,
  hasId: (uid: number) => boolean,
): string | null {
  const { path } = place;
  const covering = spec.mounts.find(
    ({ destination }) => destination === path || contains(destination, path),
  );
  if (covering !== undefined) return `${covering.destination} is mounted there`;
  const { type } = inCopy(place, spec, host);
  if (type === "directory") return `${path} of the rootfs is a directory`;
  if (type !== "absent") return null;
  // The directories of a copy of the host's root are the sandbox's own.
  const isOwned = isCopy(spec, host) || place.owner === undefined || hasId(place.owner);
  return canBeMade(spec, host, isOwned) ? null : `the rootfs has no ${path} to mount it on`;
}

/** Without a trace in what is kept: in a layer that is thrown away, or below all others. */
function canBeMade(spec: Spec, host: Host, isOwned: boolean): boolean {
  const kind = needsOverlay(spec) ? chooseRung(spec, host).kind : "none";
  if (kind === "kernel") return isOwned || hasInitLayer(spec, host);
  return kind === "fuse" && isOwned && spec.root.readonly !== true && host.upper === null;
}

function isCopy({ root, sbx }: Spec, { rootfs }: Host): boolean {
  return rootfs.path === "/" && (root.readonly === true || sbx.writes !== "in-place");
}

/** A copy of the host's root has nothing of these directories. */
function inCopy(place: Place, spec: Spec, host: Host): Place {
  return isCopy(spec, host) && /^\/(run|tmp)\//.test(place.path)
    ? { ...place, type: "absent" }
    : place;
}

function sourceOf(
  name: EtcFileName,
  spec: Spec,
  host: Host,
  names: Names,
): EtcMount["source"] | null {
  switch (name) {
    case "hostname":
      return { text: `${spec.hostname ?? host.etc.hostname}\n` };
    case "hosts":
      return spec.sbx.etcFiles?.hosts === false ? null : { text: hosts(spec, host, names) };
    case "resolv.conf":
      return { text: names.resolvConf };
    case "machine-id":
      return { text: machineId(host) };
    case "localtime":
      return host.etc.localtime === null ? null : { path: host.etc.localtime };
  }
}

/** By which the sandbox knows itself, and nobody else is known. */
function ownNames({ linux, hostname, sbx }: Spec, { etc, joined }: Host): string {
  const isShared = !linux.namespaces.some(({ type }) => type === "network");
  // Who shares a network shares its address.
  const other = joined?.types.includes("network") ? joined : null;
  const names = [hostname ?? etc.hostname, sbx.name, other?.spec.hostname, other?.name];
  // What is one word of a line; the kernel takes any bytes for a host name.
  const isOwn = (name = "") => /^[^\s#]+$/.test(name) && !(isShared && name === etc.hostname);
  return [...new Set(names)].filter(isOwn).join(" ");
}

/** hosts(5). A line that was asked for comes before that of the sandbox's own names, and so counts. */
function hosts(spec: Spec, host: Host, { hosts, towards }: Names): string {
  const own = ownNames(spec, host);
  const isLocal = towards.length === 0 && own !== "";
  return [...hosts, ...(isLocal ? [`127.0.0.1\t${own}`] : []), ""].join("\n");
}

/** Which address that is, only the machine knows, when it has it. */
function nameSteps(spec: Spec, host: Host, { towards }: Names): Step[] {
  const names = ownNames(spec, host);
  if (towards.length === 0 || names === "") return [];
  const action = { kind: "nameOwnAddress", path: `${directory}/hosts`, towards, names } as const;
  return [{ role: "init", phase: "network", action }];
}

/**
 * The same for every sandbox of a rootfs, and telling nothing of the machine's own, which is to be kept
 * secret: machine-id(5), whose form is that of a random UUID.
 */
function machineId(host: Host): string {
  const digest = createHash("sha256").update(`sbx ${host.etc.machineId} ${host.rootfs.path}`);
  const hex = digest.digest("hex").slice(0, 32);
  const variant = "89ab"[Number.parseInt(hex[16] ?? "0", 16) & 3];
  return `${hex.slice(0, 12)}4${hex.slice(13, 16)}${variant}${hex.slice(17)}\n`;
}

function stagedSteps({ name, source }: EtcMount, spec: Spec, host: Host): Step[] {
  const target = `${directory}/${name}`;
  const flags: RestrictingFlag[] = ["MS_NOSUID", "MS_NODEV", "MS_NOEXEC"];
  const isReadOnly = "path" in source || spec.root.readonly === true;
  const text = "text" in source ? source.text : "";
  return [
    {
      ...step({ kind: "makeFile", path: target, mode: 0o644, text }),
      hints: {
        ENOSPC: "The sandbox's own files of /etc need room too: give more with --upper-size",
      },
    },
    step({
      kind: "mount",
      source: "path" in source ? source.path : target,
      target,
      type: null,
      flags: ["MS_BIND"],
      data: "",
    }),
    ...restrict(host, target, isReadOnly ? ["MS_RDONLY", ...flags] : flags),
  ];
}

function step(action: Action): Step {
  return { role: "init", phase: "filesystems", action };
}

/** Mount options, after mount(8), the runtime-spec's config.md and podman-run(1). */
import type { MountFlag } from "../spec/actions/mounts.js";
import { fail } from "../spec/error.js";
import type { Mount } from "../spec/spec.js";

const optionFlags: Readonly<Record<string, readonly MountFlag[]>> = {
  ro: ["MS_RDONLY"],
  // Of a recursive bind `ro` is recursive anyway.
  rro: ["MS_RDONLY"],
  rw: [],
  nosuid: ["MS_NOSUID"],
  suid: [],
  nodev: ["MS_NODEV"],
  dev: [],
  noexec: ["MS_NOEXEC"],
  exec: [],
  noatime: ["MS_NOATIME"],
  nodiratime: ["MS_NODIRATIME"],
  relatime: ["MS_RELATIME"],
  strictatime: ["MS_STRICTATIME"],
  bind: ["MS_BIND"],
  rbind: ["MS_BIND", "MS_REC"],
};

/** mount_namespaces(7), "Shared subtrees". */
const propagations: Readonly<Record<string, readonly MountFlag[]>> = {
  private: ["MS_PRIVATE"],
  rprivate: ["MS_PRIVATE", "MS_REC"],
  slave: ["MS_SLAVE"],
  rslave: ["MS_SLAVE", "MS_REC"],
  shared: ["MS_SHARED"],
  rshared: ["MS_SHARED", "MS_REC"],
};

export interface MountOptions {
  readonly flags: readonly MountFlag[];
  readonly propagation: readonly MountFlag[];
  /** `U`: all files are given to the sandbox's user. */
  readonly chown: boolean;
  /** What is left for the filesystem itself. */
  readonly data: string;
}

/** Whether what the host mounts later is to be seen in it. */
export function followsHost({ options = [] }: Mount): boolean {
  return options.some((option) => /^r?(slave|shared)$/.test(option));
}

/** `gidMapped` tells whether a gid of the sandbox has one of the host's behind it. */
export function parseOptions(
  { destination, options = [], type }: Mount,
  gidMapped: (gid: number) => boolean,
): MountOptions {
  const flags = new Set<MountFlag>(type === "bind" || type === "volume" ? ["MS_BIND"] : []);
  let propagation = propagations.rprivate ?? [];
  const data: string[] = [];
  for (const option of options) {
    const known = optionFlags[option];
    if (known !== undefined) for (const flag of known) flags.add(flag);
    else if (propagations[option] !== undefined) propagation = propagations[option];
    else if (option !== "U" && !isUnmappedGid(option, gidMapped)) data.push(option);
  }
  if (flags.has("MS_BIND") && data.length > 0) {
    fail(`mount ${destination}`, `a bind has no option ${data.join(", ")}`);
  }
  const chown = options.includes("U");
  if (chown && !flags.has("MS_BIND")) {
    fail(`mount ${destination}`, "U changes owners of what is bound", "Use uid= and gid=");
  }
  return { flags: [...flags], propagation, chown, data: data.join(",") };
}

/** devpts's gid=5 is the group tty; where it has no id the terminals keep the user's own group. */
function isUnmappedGid(option: string, gidMapped: (gid: number) => boolean): boolean {
  const gid = /^gid=(\d+)$/.exec(option)?.[1];
  return gid !== undefined && !gidMapped(Number(gid));
}

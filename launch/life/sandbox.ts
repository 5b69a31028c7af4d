/** A sandbox that runs, as its record tells. */
import type { JoinedNamespaces } from "../../spec/actions/enter.js";
import type { ParentIds, RunDirectory } from "../../spec/host.js";
import type { PublishedPort } from "../../spec/network.js";
import type { Mapping, NamespaceType, Spec } from "../../spec/spec.js";
import type { ResolvedUser } from "../../userns/passwd.js";

/** A port of the host's that leads to one of a sandbox, which has it by now. */
export type RunningPort = PublishedPort & { readonly hostPort: number };

/** A sandbox's place on a network of `sbx network`. */
export interface NetworkPlace {
  readonly network: string;
  /** Inside, as `eth0`. */
  readonly interface: string;
  /** Its IPv4 address. */
  readonly ip: string;
  /** Its IPv6 address in full, where the network has any. */
  readonly ip6?: string;
}

/** What a record says. */
export interface Sandbox {
  /** Of this format. */
  readonly version: 1;
  /** The record's own, which a sandbox keeps when it is renamed. */
  readonly inode: number;
  /** That of the file, by which it is found: a sandbox may be renamed while it runs. */
  readonly name: string;
  /** What it was called as it was started: what is in the file. */
  readonly firstName: string;
  /** 12 hexadecimal digits. Absent from programs of before there were any. */
  readonly id?: string;
  /** Pids as the caller sees them. That of the init may be anybody's by now. */
  readonly monitor: number;
  /** As which the monitor has its namespaces open: launch/lower/namespaces.ts. Those that are not its own are absent. */
  readonly namespaces: Readonly<Partial<Record<NamespaceType, number>>>;
  readonly init: number;
  /** Seconds since 1970. */
  readonly started: number;
  /** The ids inside, and which of the caller's own user namespace they are. */
  readonly uidMappings: readonly Mapping[];
  readonly gidMappings: readonly Mapping[];
  /** setgroups(2) is given up. */
  readonly denySetgroups: boolean;
  /** Whom its command was started as. */
  readonly user: Pick<ResolvedUser, "uid" | "gid" | "additionalGids" | "home">;
  /** The ids of the user namespace that its network belongs to; null where they are not known. */
  readonly networkIds: ParentIds | null;
  /** The directory of its control group; absent where it has none. */
  readonly cgroup?: string;
  readonly ports?: readonly RunningPort[];
  /** The networks that it was started on. */
  readonly networks?: readonly NetworkPlace[];
  readonly spec: Spec;
}

/** How a program finds namespaces of a sandbox, and no other's that has the name by then. */
export function joinedOf(
  { path }: RunDirectory,
  sandbox: Sandbox,
  types: readonly NamespaceType[],
): JoinedNamespaces {
  const { name } = sandbox;
  return {
    kind: "sandbox",
    name,
    record: `${path}/sandboxes/${name}`,
    head: headOf(sandbox),
    namespaces: types.map((type) => ({ type, path: namespacePath(sandbox, type) })),
  };
}

/** How the record begins: no other sandbox's does so. */
export function headOf(sandbox: Sandbox): string {
  const { version, id, firstName: name, monitor, namespaces, init, started } = sandbox;
  return JSON.stringify({ version, id, name, monitor, namespaces, init, started }).slice(0, -1);
}

/** Where the monitor of a running sandbox has a namespace of its open. */
export const namespacePath = ({ monitor, namespaces }: Sandbox, type: NamespaceType): string =>
  `/proc/${monitor}/fd/${namespaces[type]}`;

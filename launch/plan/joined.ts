/** Namespaces that are joined: those of other sandboxes, and networks that a file leads to. */
import { fail } from "../../spec/error.js";
import {
  type Host,
  type JoinedSandbox,
  kernelAtLeast,
  type RunDirectory,
} from "../../spec/host.js";
import type { Spec } from "../../spec/spec.js";
import type { Step } from "../../spec/step.js";
import type { Parent } from "../../userns/within.js";
import { joinedOf, type Sandbox } from "../life/sandbox.js";
import { step } from "./steps.js";

/** Which namespaces of which sandbox are to be joined, or null. */
export function joinedBy({ join, network }: Spec["sbx"]): {
  readonly sandbox: string;
  readonly types: readonly JoinableType[];
} | null {
  const shared = network?.from.mode === "sandbox" ? network.from.sandbox : undefined;
  const sandbox = shared ?? join?.sandbox;
  if (sandbox === undefined) return null;
  // The network may belong to the user namespace above that of the others, and its owner is entered.
  return {
    sandbox,
    types: [...(shared === undefined ? [] : ["network" as const]), ...(join?.namespaces ?? [])],
  };
}

type JoinableType = JoinedSandbox["types"][number];

/** What a plan depends on of the sandbox whose namespaces are joined; gives up where that cannot be. */
export function readJoined(
  sandbox: Sandbox,
  types: readonly JoinableType[],
  run: RunDirectory,
): JoinedSandbox {
  const { name, spec, networkIds } = sandbox;
  const { namespaces } = spec.linux;
  const [first] = types;
  for (const type of types) {
    if (namespaces.some((own) => own.type === type)) continue;
    const what = type === "network" ? "network" : `${type} namespace`;
    const isJoined = spec.sbx.join?.namespaces.some((each) => each === type) === true;
    const [whose, hint] = isJoined
      ? [`the sandbox ${spec.sbx.join?.sandbox}`, "Join that one"]
      : ["this machine", `--${type}=host gives you the same`];
    fail(`join the ${what} of the sandbox ${name}`, `it has the ${what} of ${whose}`, hint);
  }
  // Root in it has rights over whatever joins it, and would see that being put together.
  const seesAnothers = spec.sbx.join?.namespaces.includes("pid");
  if (!seesAnothers && !namespaces.some(({ type }) => type === "pid")) {
    fail(
      `join the ${first === "network" ? first : `${first} namespace`} of the sandbox ${name}`,
      "it sees the processes of this machine, and could take over those that set this sandbox up",
      "Start that one without --pid=host",
    );
  }
  const copies = types.flatMap((type) => shown[type]).filter((path) => hasMount(spec, path));
  const places = copies.length === 0 ? [] : (["user", "mount"] as const);
  return {
    name,
    spec,
    types,
    from: joinedOf(run, sandbox, [...types, ...places]),
    copies,
    ids: first === "network" ? networkIds : sandbox,
  };
}

/** The filesystems that show a namespace: only who owns it can mount them, mount(2). Shared memory goes with ipc. */
const shown = {
  network: [],
  pid: ["/proc"],
  ipc: ["/dev/shm", "/dev/mqueue"],
  uts: [],
} as const satisfies Record<JoinableType, readonly string[]>;

const hasMount = ({ mounts }: Spec, path: string) =>
  mounts.some(({ destination }) => destination === path);

/** How a sandbox gets into namespaces that are not its own. */
export interface JoinedPlan {
  /** In whose user namespace the sandbox's is made. */
  readonly parent: Parent;
  /** In the monitor, before there is a stepper; then in the stepper. */
  readonly open: readonly Step[];
  readonly enter: readonly Step[];
  readonly notes: readonly string[];
}

/** Null where all are the sandbox's own, or the host's. */
export function planJoined({ sbx }: Spec, host: Host): JoinedPlan | null {
  const { joined, user: caller } = host;
  const from = sbx.network?.from;
  if (from?.mode === "path") {
    const { path } = from;
    const opened = { kind: "openJoined", from: { kind: "path", path } } as const;
    return {
      parent: { what: path, ids: null, caller },
      open: [step("monitor", "clone", opened, pathHints)],
      enter: [enterStep],
      notes: [],
    };
  }
  if (joinedBy(sbx) === null) return null;
  if (joined === null) throw new Error("the sandbox to join was not looked up");
  const { name, ids, copies: paths } = joined;
  if (paths.length > 0 && !kernelAtLeast(host, 5, 2)) {
    fail(
      `show the ${paths.join(", ")} of the sandbox ${name}`,
      `Linux ${host.kernel.release} has no open_tree(2)`,
      "Linux 5.2 has it",
    );
  }
  return {
    parent: { what: `the sandbox ${name}`, ids, caller },
    open: [
      step("monitor", "clone", { kind: "openJoined", from: joined.from }, sandboxHints),
      ...(paths.length === 0
        ? []
        : [step("monitor", "clone", { kind: "copyMounts", name, paths }, copyHints)]),
    ],
    enter: [enterStep],
    notes: sharingNotes(joined),
  };
}

function sharingNotes({ name, spec, types, copies }: JoinedSandbox): string[] {
  const missing = types.flatMap((type) => shown[type]).filter((path) => !copies.includes(path));
  return [
    ...(spec.sbx.seccomp === "unconfined" && types.includes("network")
      ? [`${name} has no seccomp filter: its root can take over what here connects to it`]
      : []),
    ...(types.includes("pid")
      ? [
          `${name} sees the processes of this sandbox: its root can take them over, and they are killed when it ends`,
        ]
      : []),
    ...missing.map((path) => `no ${path}: the sandbox ${name} has nothing mounted there to share`),
  ];
}

const file = "Give a file such as /proc/PID/ns/net, PID being a process of yours";
const pathHints = {
  ENOENT: file,
  notNetwork: file,
  EACCES: "That process is another user's, or has rights that you do not have",
  EPERM: "It belongs to a user namespace that is not below yours: start sbx from there",
};

const ended = "It has ended meanwhile: start it again, then this one";
const sandboxHints = {
  ENOENT: ended,
  joinedEnded: ended,
  notNetwork: ended,
  notUp: "Try again in a moment",
};
const unlike = "Something else was put there inside: start that sandbox anew";
const copyHints = { ENOENT: unlike, ELOOP: unlike, ENOTDIR: unlike, notProc: unlike };

const enterStep = step(
  "stepper",
  "clone",
  { kind: "enterJoined" },
  {
    EPERM:
      "It belongs to this machine, or to another user, and only root may join it. `unshare -rn` makes one that you may join",
  },
);

/** With the host name, name servers and /etc/hosts lines of the sandbox that is joined, as podman-run(1) has it. */
export function withJoinedNames(spec: Spec, { joined }: Host): Spec {
  if (joined === null) return spec;
  const { hostname } = joined.spec;
  const isNamed = joined.types.includes("uts") && hostname !== undefined;
  const named = isNamed ? { ...spec, hostname } : spec;
  if (!joined.types.includes("network")) return named;
  const { network, etcFiles: theirs } = joined.spec.sbx;
  const { etcFiles: own } = spec.sbx;
  const addHosts = [...(theirs?.addHosts ?? []), ...(own?.addHosts ?? [])];
  return {
    ...named,
    sbx: {
      ...spec.sbx,
      ...(network && { network }),
      ...(own && { etcFiles: { ...own, addHosts } }),
    },
  };
}

/**
 * With the mounts that a sandbox can have in namespaces of somebody else's: mount(2) lets only who owns a network
 * mount its sysfs. What `linux.namespaces` does not list is shown by a bind of its place, as if it were the host's.
 */
export function withJoinedMounts(spec: Spec, { joined }: Host): Spec {
  const types = joined?.types ?? [];
  const missing = types
    .flatMap((type): readonly string[] => shown[type])
    .filter((path) => joined?.copies.includes(path) === false);
  const mounts = spec.mounts.filter(
    ({ source, destination }) => source !== destination || !missing.includes(destination),
  );
  const isOwn = joined !== null && !types.includes("network");
  return isOwn ? { ...spec, mounts } : withHostSys({ ...spec, mounts });
}

function withHostSys(spec: Spec): Spec {
  return {
    ...spec,
    mounts: spec.mounts.map((mount) =>
      mount.type === "sysfs"
        ? {
            ...mount,
            type: "bind",
            source: "/sys",
            options: ["rbind", ...(mount.options ?? [])],
          }
        : mount,
    ),
  };
}

/** Networks that are joined: those of other sandboxes, and those that a file leads to. */
import { fail } from "../spec/error.js";
import type { Host, JoinedSandbox, RunDirectory } from "../spec/host.js";
import type { Spec } from "../spec/spec.js";
import type { Step } from "../spec/step.js";
import type { Parent } from "../userns/within.js";
import { networkOf, type Sandbox } from "./records.js";
import { step } from "./steps.js";

/** What a plan depends on of the sandbox whose network is joined; gives up where that cannot be. */
export function readJoined(sandbox: Sandbox, run: RunDirectory): JoinedSandbox {
  const { name: whole, spec, networkIds: ids } = sandbox;
  const what = `join the network of the sandbox ${whole}`;
  const { namespaces } = spec.linux;
  if (!namespaces.some(({ type }) => type === "network")) {
    fail(what, "it has the network of this machine", "--network=host gives you the same");
  }
  // Root in it has rights over whatever joins it, and would see that being put together.
  if (!namespaces.some(({ type }) => type === "pid")) {
    fail(
      what,
      "it sees the processes of this machine, and could take over those that set this sandbox up",
      "Start that one without --pid=host",
    );
  }
  return { name: whole, spec, network: networkOf(run, sandbox), ids };
}

/** How a sandbox gets into a network that is not its own. */
export interface JoinedPlan {
  /** In whose user namespace the sandbox's is made. */
  readonly parent: Parent;
  /** In the monitor, before there is a stepper; then in the stepper. */
  readonly open: readonly Step[];
  readonly enter: readonly Step[];
  readonly notes: readonly string[];
}

/** Null where the network is the sandbox's own, or the host's. */
export function planJoined({ sbx }: Spec, { joined, user: caller }: Host): JoinedPlan | null {
  const from = sbx.network?.from;
  switch (from?.mode) {
    case "path":
      return {
        parent: { what: from.path, ids: null, caller },
        open: [step("monitor", "clone", { kind: "openJoined", from: byPath(from) }, pathHints)],
        enter: [enterStep],
        notes: [],
      };
    case "sandbox": {
      if (joined === null) throw new Error("the sandbox to join was not looked up");
      const { name, ids, network } = joined;
      return {
        parent: { what: `the sandbox ${name}`, ids, caller },
        open: [step("monitor", "clone", { kind: "openJoined", from: network }, sandboxHints)],
        enter: [enterStep],
        notes:
          joined.spec.sbx.seccomp === "unconfined"
            ? [`${name} has no seccomp filter: its root can take over what here connects to it`]
            : [],
      };
    }
    default:
      return null;
  }
}

const byPath = ({ path }: { path: string }) => ({ kind: "path", path }) as const;

const file = "Give a file such as /proc/PID/ns/net, PID being a process of yours";
const pathHints = {
  ENOENT: file,
  notNetwork: file,
  EACCES: "That process is another user's, or has rights that you do not have",
  EPERM: "It belongs to a user namespace that is not below yours: start sbx from there",
};

const ended = "It has ended meanwhile: start it again, then this one";
const sandboxHints = { ENOENT: ended, joinedEnded: ended, notNetwork: ended };

const enterStep = step(
  "stepper",
  "clone",
  { kind: "enterJoined" },
  {
    EPERM:
      "It belongs to this machine, or to another user, and only root may join it. `unshare -rn` makes one that you may join",
  },
);

/** With the name servers and the /etc/hosts lines of the sandbox that is joined, as podman-run(1) has it. */
export function withJoinedNames(spec: Spec, { joined }: Host): Spec {
  if (joined === null) return spec;
  const { network, etcFiles: theirs } = joined.spec.sbx;
  const { etcFiles: own } = spec.sbx;
  const addHosts = [...(theirs?.addHosts ?? []), ...(own?.addHosts ?? [])];
  return {
    ...spec,
    sbx: {
      ...spec.sbx,
      ...(network && { network }),
      ...(own && { etcFiles: { ...own, addHosts } }),
    },
  };
}

/** The mounts of a sandbox that is in a network which is not its own: mount(2) lets only its owner mount a sysfs. */
export function withHostSys(spec: Spec): Spec {
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

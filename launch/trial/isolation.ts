/** Findings on namespaces and on the mounts inside them. */
import { type NamespaceType, namespaceTypes } from "../../spec/spec.js";
import { userNamespaceBlocker } from "../plan/blocker.js";
import { filteredHint } from "../plan/hints.js";
import type { Facts } from "./facts.js";
import {
  type Consequence,
  describeFailure,
  type Failure,
  type Finding,
  fatal,
  judgeTrial,
  withFlag,
} from "./finding.js";
import { sysctl } from "./mend.js";

export function namespaceFindings(facts: Facts): Finding[] {
  return [
    userNamespace(facts),
    ...namespaceTypes.flatMap((type) => (type === "user" ? [] : [namespace(facts, type)])),
    mounts(facts),
  ];
}

const unmasked =
  "Start the container that sbx is in with more rights (podman: --security-opt seccomp=unconfined --security-opt unmask=ALL; docker: --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined)";

function userNamespace(facts: Facts): Finding {
  const { host } = facts;
  const id = "user-namespace";
  const blocker = userNamespaceBlocker(host);
  return judgeTrial(facts, id, "user", {
    good: () => {
      const { max } = host.userNamespaces;
      const limit = max === null ? "" : `, at most ${max} (user.max_user_namespaces)`;
      return { id, state: "ok", found: `can be created${limit}` };
    },
    bad: (_, errno) =>
      blocker?.certain === true
        ? { found: blocker.why, mend: blocker.hint }
        : { found: `cannot be created: ${errno}`, mend: mendRefusal(facts, errno, "user") },
    consequence: fatal,
  });
}

/** What stands behind an errno of clone(2) or unshare(2) with that namespace's flag. */
function mendRefusal({ isContainer, host }: Facts, errno: string, type: NamespaceType): string {
  const name = { mount: "mnt", network: "net", user: "user", pid: "pid" }[type as string] ?? type;
  switch (errno) {
    case "EPERM":
    case "EACCES":
      if (isContainer) return unmasked;
      return host.seccomp.isFiltered
        ? filteredHint
        : "A security module, a seccomp filter or a chroot forbids it: start sbx outside of that";
    case "ENOSPC":
      return `The limit is reached: ${sysctl(`user.max_${name}_namespaces`, 15000)}`;
    case "EUSERS":
      return "User namespaces are nested 32 deep: start sbx further out";
    case "EINVAL":
    case "ENOSYS":
      return `Use a kernel with CONFIG_${name === "mnt" ? "NAMESPACES" : `${name.toUpperCase()}_NS`}`;
    default:
      return "See clone(2) for this error, and the limits of `ulimit -u` and of the pids cgroup";
  }
}

/** What can be had without the namespace; a time namespace is for --time-offset alone. */
const consequences: Readonly<Record<Exclude<NamespaceType, "user">, Consequence | null>> = {
  mount: fatal,
  pid: withFlag("--pid=host"),
  network: withFlag("--network=host"),
  ipc: withFlag("--ipc=host"),
  uts: withFlag("--uts=host"),
  cgroup: withFlag("--cgroupns=host"),
  time: null,
};

function namespace(facts: Facts, type: Exclude<NamespaceType, "user">): Finding {
  const id = `${type}-namespace`;
  return judgeTrial(facts, id, type, {
    good: () => ({ id, state: "ok", found: "can be created" }),
    bad: (_, errno) => ({
      found: `cannot be created: ${errno}`,
      mend:
        type === "time" && errno === "EINVAL"
          ? "Use Linux 5.6 or later, with CONFIG_TIME_NS; only --time-offset needs it"
          : mendRefusal(facts, errno, type),
    }),
    consequence: consequences[type],
  });
}

/** AppArmor lets the namespace be created, and takes the rights in it away. */
function mounts(facts: Facts): Finding {
  const id = "mounts";
  const blocker = userNamespaceBlocker(facts.host);
  const isRefusal = (errno: string) => errno === "EPERM" || errno === "EACCES";
  return judgeTrial(facts, id, "mounts", {
    good: () => ({ id, state: "ok", found: "can be made in a user namespace" }),
    bad: (failure, errno) => {
      if (blocker !== null && isRefusal(errno)) return { found: blocker.why, mend: blocker.hint };
      return {
        found: describeFailure(failure),
        mend: isRefusal(errno)
          ? mendRefusal(facts, errno, "mount")
          : "See mount(2) for this error; sbx puts a sandbox together at /tmp, which must exist",
      };
    },
    consequence: fatal,
  });
}

/** The filesystems that show a namespace: fresh ones are refused where the visible ones are covered. */
export function filesystemFindings(facts: Facts): Finding[] {
  const fresh = (id: "proc" | "sysfs", path: string, flag: string) =>
    judgeTrial(facts, id, id, {
      good: () => ({ id, state: "ok", found: "a fresh one can be mounted" }),
      bad: (failure) => revealing(facts, failure, path, flag),
      consequence: withFlag(flag),
    });
  return [fresh("proc", "/proc", "--pid=host"), fresh("sysfs", "/sys", "--network=host")];
}

/** mount_too_revealing() of fs/namespace.c answers EPERM. */
function revealing(facts: Facts, failure: Failure, path: string, flag: string) {
  const covered = facts.host.mounts
    .map(({ mountPoint }) => mountPoint)
    .filter((mountPoint) => mountPoint.startsWith(`${path}/`));
  if (describeFailure(failure) !== `mount ${path === "/proc" ? "proc" : "sysfs"}: EPERM`) {
    return { found: describeFailure(failure), mend: `Use ${flag}, which shows the host's` };
  }
  const by =
    covered.length === 0
      ? "not wholly visible here"
      : `partly covered here (${covered.slice(0, 4).join(", ")}${covered.length > 4 ? ", …" : ""})`;
  return {
    found: `the kernel refuses a fresh one, as ${path} is ${by}: mount too revealing (EPERM)`,
    mend: facts.isContainer
      ? `${unmasked}, or use ${flag}`
      : `Unmount what covers ${path}, or use ${flag}`,
  };
}

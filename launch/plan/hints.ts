/** How to mend what the kernel or a helper refuses, for the steps that are planned in launch/. */
import type { Host } from "../../spec/host.js";
import type { Step } from "../../spec/step.js";
import type { IdMaps } from "../../userns/idmap.js";
import type { Blocker } from "./blocker.js";

/** By the name of an errno, as `Step.hints` has them. */
export type Hints = Readonly<Record<string, string>>;

/** In a container, and in another sandbox, whose default profile refuses namespaces and mounts. */
export const filteredHint =
  "A seccomp filter is around sbx, and may be what refuses it: start sbx outside of it, or what is around it (a container, another `sbx run`) with --security-opt seccomp=unconfined";

/** What such a filter refuses looks like any other refusal. */
export function explainFiltered(steps: readonly Step[], { seccomp }: Host): readonly Step[] {
  if (!seccomp.isFiltered) return steps;
  return steps.map((each) => ({ ...each, hints: { EPERM: filteredHint, ...each.hints } }));
}

export const cloneHints = (blocker: Blocker | null, { seccomp }: Host): Hints => ({
  EPERM:
    blocker?.hint ??
    (seccomp.isFiltered
      ? filteredHint
      : "The kernel refuses user namespaces here, as container runtimes and security modules make it: `sbx check` tells which"),
  ENOSPC: "A limit of /proc/sys/user/max_*_namespaces is reached: raise it with sysctl, as root",
  EUSERS: "User namespaces are nested too deep (32 levels)",
  EINVAL: "The kernel lacks one of these namespaces: `sbx check` tells which",
  EAGAIN: "The limit of processes is reached: see `ulimit -u`",
});

/** AppArmor lets the namespace be created, and takes the rights in it away: the first mount fails. */
export function explainBlocked(steps: readonly Step[], blocker: Blocker | null): Step[] {
  if (blocker === null) return [...steps];
  const why = `${blocker.why[0]?.toUpperCase()}${blocker.why.slice(1)}. ${blocker.hint}`;
  return steps.map((each) => ({ ...each, hints: { EPERM: why, EACCES: why, ...each.hints } }));
}

/** newuidmap tells its own reasons on stderr; this is what most often lies behind them. */
function helperHint({ newuidmap, newgidmap, user }: Host): string {
  const plain = [newuidmap, newgidmap].find((helper) => helper !== null && !helper.setuidRoot);
  return plain != null
    ? `${plain.path} is not set-user-ID root; unless it has file capabilities (getcap), mend it as root: chmod u+s ${plain.path}, or use --userns=single`
    : `The ranges must be in /etc/subuid and /etc/subgid for ${user.name ?? user.uid}: \`sbx check\` shows them; --userns=single needs none`;
}

export function mapHints(host: Host, { helpers }: Pick<IdMaps, "helpers">): Hints {
  return {
    ...(helpers === null ? {} : { helperFailed: helperHint(host) }),
    EPERM:
      "The kernel refuses this id map: map only your own id (--userns=single), or ids that are yours",
    EINVAL: "The kernel refuses this id map: ranges must not overlap, and have at most 340 lines",
  };
}

export const cwdHints: Hints = {
  ENOENT: "Make it in the rootfs, or choose another with --workdir",
  ENOTDIR: "Choose a directory with --workdir",
  EACCES: "The user inside may not enter it: choose another with --workdir, or another --user",
};

export function executeHints({ architecture }: Host): Hints {
  return {
    ENOENT:
      "It is not in the sandbox: give a path inside the rootfs, or a name that PATH there leads to",
    ENOTDIR: "A part of its path is not a directory inside the rootfs",
    EACCES:
      "It is not an executable file for the user inside, or its filesystem is noexec: chmod +x, or another --user",
    ENOEXEC: `It is no program for ${architecture}: built for another machine, or a script without #! line`,
    noInterpreter:
      "Install the library or interpreter (ldd, or its #! line, names it) in the rootfs",
    E2BIG: "Arguments and environment together are too long",
  };
}

/** Findings on what sandboxes can do without: networks, limits, filters. */
import {
  delegationDropIn,
  findDelegation,
  missingControllers,
  wantedControllers,
} from "../../cgroup/mode.js";
import { pastaRefusal } from "../../netns/pasta.js";
import { slirpRefusal } from "../../netns/slirp4netns.js";
import { missingActions } from "../../seccomp/support.js";
import { hostIdOf } from "../../userns/idmap.js";
import type { Facts } from "./facts.js";
import { describeFailure, type Finding, judgeTrial, withFlag } from "./finding.js";
import { install } from "./mend.js";
import { deviceFinding, toolFinding } from "./storage.js";

export function networkFindings(facts: Facts): Finding[] {
  const { devices, isContainer } = facts;
  return [
    wayOut(facts),
    deviceFinding("tun", "/dev/net/tun", "tun", { errno: devices.tun, isContainer }),
    pasta(facts),
    slirp4netns(facts),
  ];
}

/** What `--network=auto` takes. */
function wayOut({ host, maps, osRelease }: Facts): Finding {
  const id = "way-out";
  const rootMapped =
    hostIdOf(maps.uidMappings, 0) !== null && hostIdOf(maps.gidMappings, 0) !== null;
  const first = pastaRefusal(host);
  if (first === null) return { id, state: "ok", found: "--network=auto, the default, takes pasta" };
  const mend = !host.uplinks.tun
    ? "See tun"
    : host.uplinks.pasta === null
      ? install("pasta", osRelease)
      : "Give this machine a default route, or install passt of 2024-10 or later";
  const second = slirpRefusal(host, [], { rootMapped, ownPids: true });
  return second === null
    ? {
        id,
        state: "limited",
        found: `--network=auto, the default, takes slirp4netns: ${first}`,
        mend,
      }
    : {
        id,
        state: "missing",
        found: `--network=auto, the default, has none: ${first}; ${second}`,
        mend,
      };
}

/** What versions lack, by an option that those have that do not. */
function pasta(facts: Facts): Finding {
  const found = toolFinding("pasta", facts);
  const options = facts.host.uplinks.pasta?.options ?? [];
  const lacking = [
    ...(options.includes("map-guest-addr")
      ? []
      : ["the host is reached only with --host-loopback"]),
    ...(options.includes("host-lo-to-ns-lo")
      ? []
      : ["clients on this machine's own loopback are seen as the sandbox's own"]),
  ];
  if (found.state !== "ok" || lacking.length === 0) return found;
  return {
    ...found,
    state: "limited",
    found: `${found.found}; ${lacking.join(", and ")}`,
    mend: "Install passt of 2024-10 or later",
  };
}

function slirp4netns(facts: Facts): Finding {
  const finding = toolFinding("slirp4netns", facts);
  if (finding.state !== "ok") return finding;
  const lacks =
    "clients on this machine's own loopback are seen as 10.0.2.2, and ports of IPv6 are not published";
  return { ...finding, found: `${finding.found}; ${lacks}` };
}

/** Limits need controllers of version 2 in a subtree that is the caller's. */
export function cgroupFinding(facts: Facts): Finding {
  const { isContainer, host } = facts;
  const { cgroup } = host;
  const delegation = findDelegation(cgroup);
  const id = "cgroup";
  if (cgroup.mode !== "v2") {
    const first = cgroup.v1Controllers.join(" ");
    const found = {
      none: "no cgroups are mounted: limits cannot be enforced",
      v1: `version 1 (${first}): limits cannot be enforced without root`,
      hybrid: `version 1 (${first}) with version 2 beside it: limits cannot be enforced without root`,
    }[cgroup.mode];
    return {
      id,
      state: "missing",
      found,
      mend: isContainer
        ? "Start the container that sbx is in on a host with cgroup version 2 alone"
        : "Boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line",
    };
  }
  const user = host.user.name ?? `${host.user.uid}`;
  if (delegation === null) {
    return {
      id,
      state: "missing",
      found: "version 2, but no subtree of it is delegated to you: limits cannot be enforced",
      mend: isContainer
        ? "Start the container that sbx is in with a writable cgroup (podman: --cgroupns=private --security-opt unmask=/sys/fs/cgroup)"
        : `sudo loginctl enable-linger ${user}, then log in anew`,
    };
  }
  const lacking = missingControllers(delegation);
  const has = delegation.controllers.length === 0 ? "none" : delegation.controllers.join(" ");
  const through = delegation.through === "manager" ? " through your systemd" : "";
  const found = `version 2, delegated${through}: ${delegation.path} (${has})`;
  if (lacking.length === 0) return { id, state: "ok", found };
  const none = lacking.length === wantedControllers.length;
  return {
    id,
    state: none ? "missing" : "limited",
    found: `${found}, without ${lacking.join(" ")}`,
    mend: isContainer
      ? "Delegate these controllers to the container that sbx is in"
      : delegationDropIn,
  };
}

/** What becomes of sandboxes in the background: loginctl(1), enable-linger. */
export function lingerFinding({ lingers, host }: Facts): Finding {
  const id = "linger";
  const user = host.user.name ?? `${host.user.uid}`;
  if (lingers !== false) {
    const why = lingers === null ? "there is no systemd" : "lingering is on";
    return { id, state: "ok", found: `sandboxes in the background outlive your logout: ${why}` };
  }
  return {
    id,
    state: "limited",
    found:
      "after your last logout systemd ends sandboxes in the background that have a scope of its; one without holds the session open, and with it the others, unless logind has KillUserProcesses=yes",
    mend: `sudo loginctl enable-linger ${user}`,
  };
}

export function filterFindings(facts: Facts): Finding[] {
  return [seccomp(facts), landlock(facts)];
}

function seccomp(facts: Facts): Finding {
  const id = "seccomp";
  return judgeTrial(facts, id, "seccomp", {
    good: () => {
      const { actions } = facts.host.seccomp;
      if (actions === null) {
        return {
          id,
          state: "limited",
          found: "filters work; the kernel does not say which actions it has",
          mend: "Use Linux 4.14 or later, with /proc/sys visible",
        };
      }
      const found = `filters work: ${actions.join(" ")}`;
      const lacking = missingActions(actions);
      const newest = lacking.at(-1);
      return newest === undefined
        ? { id, state: "ok", found }
        : {
            id,
            state: "limited",
            found: `${found}, without ${lacking.map(({ name }) => name).join(" ")}`,
            mend: `Use Linux ${newest.since} or later`,
          };
    },
    bad: (failure) => ({
      found: describeFailure(failure),
      mend: "Use a kernel with CONFIG_SECCOMP_FILTER, and start sbx where prctl(2) and seccomp(2) are allowed",
    }),
    consequence: withFlag("--security-opt=seccomp=unconfined"),
  });
}

function landlock(facts: Facts): Finding {
  const id = "landlock";
  return judgeTrial(facts, id, "landlock", {
    good: (version) => ({ id, state: "ok", found: `ABI version ${version}` }),
    bad: (failure, errno) => ({
      found: describeFailure(failure),
      mend:
        errno === "EOPNOTSUPP"
          ? "It was not enabled at boot: add lsm=landlock,$(cat /sys/kernel/security/lsm) to the kernel's command line"
          : errno === "ENOSYS"
            ? "Use Linux 5.13 or later, with CONFIG_SECURITY_LANDLOCK"
            : "Start sbx where landlock_create_ruleset(2) is allowed",
    }),
    consequence: null,
  });
}

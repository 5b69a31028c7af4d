/** What a step does, in words: printed by `explain`, and named by errors when the step fails. */
import type { MountFlag } from "./actions/mounts.js";
import type { PortRange } from "./actions/uplink.js";
import { assertNever } from "./assert-never.js";
import { rlimInfinity } from "./spec.js";
import type { Action, ActionOf } from "./step.js";

export function describe(action: Action): string {
  switch (action.kind) {
    case "detach":
      return `start the sandbox ${action.id} in the background`;
    case "connectSandbox":
      return `attach to the sandbox ${action.name}`;
    case "startSandbox":
      return `start the sandbox ${action.name}`;
    case "writePidFile":
      return `write the pid to ${action.path}`;
    case "keepRecord":
      return `write the record ${action.directory}/${action.name ?? "ID"}`;
    case "askRecord":
      return "ask for the record";
    case "awaitRecord":
      return "wait for the record";

    case "moveToMemory":
      return "go on from a sealed copy in memory";
    case "openSandbox":
      return `open the sandbox ${action.name}`;
    case "enterSandbox":
      return `enter its namespaces (${action.namespaces.join(", ")})`;
    case "openRoot":
      return `open the root of the sandbox${action.isAlone ? ", without what is mounted in it" : ""}`;
    case "readFiles":
      return `read ${action.paths.join(" and ")} of the sandbox`;
    case "awaitEnd":
      return "wait for the end of standard input";
    case "leaveCaller":
      return "leave the command in the background";
    case "outliveMonitor":
      return "end the command with the monitor";
    case "openJoined":
      return action.from.kind === "path"
        ? `open the network namespace ${action.from.path}`
        : `open namespaces (${action.from.namespaces.map(({ type }) => type).join(", ")}) of the sandbox ${action.from.name}`;
    case "startStepper":
      return "start the stepper";
    case "enterJoined":
      return "enter them, and the user namespace that they belong to";
    case "copyMounts":
      return `clone the mounts ${action.paths.join(", ")} of the sandbox ${action.name}`;
    case "moveMount":
      return `mount that ${action.path} on ${action.target}`;

    case "clone":
      if (action.namespaces.length === 0) return "start a process of the sandbox's";
      return `create namespaces (${action.namespaces.map(namespaceName).join(", ")})${action.intoCgroup ? " in the control group" : ""}`;
    case "mapIds":
      return `map ids${action.helpers === null ? "" : ` with ${action.helpers.newuidmap} and newgidmap`}`;
    case "unshareTime":
      return "create a time namespace";
    case "sendNamespaces":
      return `show the monitor the namespaces (${action.types.join(", ")})`;
    case "sethostname":
      return `set the host name ${action.name}`;
    case "setdomainname":
      return `set the domain name ${action.name}`;

    case "startScope":
      return `have systemd start a scope below ${action.slice}`;
    case "openCgroup":
      return `open ${action.path === null ? "its own control group" : `the control group ${action.path}`}${action.leave ? ", and go to one below it" : ""}`;
    case "enableControllers":
      return `enable the controllers ${action.controllers.join(", ")} for the sandbox's control group`;
    case "makeCgroup":
      return `make the sandbox's control group ${action.stem}…`;
    case "limitCgroup":
      return `write ${JSON.stringify(action.text)} to ${action.file} of the control group`;
    case "awaitLimits":
      return `have the controllers ${action.controllers.join(", ")} enabled, and write ${action.writes.map(({ file, text }) => `${JSON.stringify(text)} to ${file}`).join(", ")} of the control group`;
    case "joinCgroup":
      return "move the init into the control group";
    case "unshareCgroup":
      return "create a cgroup namespace";
    case "delegateCgroup":
      return `go to a group below the control group${action.owner === null ? "" : `, and give that to uid ${action.owner.uid}, gid ${action.owner.gid} inside`}`;

    case "makeUpperStore":
      return `make a directory for throw-away writes below ${action.parent}`;
    case "bindUpperStore":
      return `mount the directory for throw-away writes on ${action.target}`;
    case "openUpper":
      return `open the upper directory ${action.path}`;
    case "openLayer":
      return `open the layer ${action.path}`;
    case "closeLayers":
      return "close the layers";
    case "overlay":
      return `mount an overlay ${action.lowers.length === 1 ? `of ${action.lowers[0]} ` : ""}on ${action.target}`;
    case "serveOverlay":
      return `start ${action.program}`;
    case "mountServed":
      return `mount fuse-overlayfs on ${action.target}`;

    case "lockVolume":
      return `lock the volume ${action.path}`;
    case "mount":
      return describeMount(action);
    case "addMountFlags":
      return `make ${action.target} ${flagNames(action.flags)}${action.recursive ? ", with the mounts below it" : ""}`;
    case "remount":
      return `remount ${action.target} ${flagNames(action.flags)}`;
    case "openAnchors":
      return `open the new root ${action.newRoot}, /proc/self/fd and /dev/null`;
    case "openSource":
      return `open the source ${action.path}`;
    case "bindSource":
      return `bind ${action.path} for ${action.destination}`;
    case "chownTree":
      return `give all of ${action.path} to uid ${action.uid}, gid ${action.gid} inside`;
    case "attach":
      return `mount ${action.what} on ${action.path}`;
    case "mask":
      return `mask ${action.path}`;
    case "readonlyPath":
      return `make ${action.path} read-only`;
    case "pivotRoot":
      return `make ${action.newRoot} the root`;

    case "mkdir":
      return `make the directory ${action.path}${action.mode === 0o755 ? "" : ` with mode ${octal(action.mode)}`}`;
    case "touch":
      return `make the file ${action.path}`;
    case "makeFile":
      return `write ${JSON.stringify(action.text)} to ${action.path}`;
    case "symlink":
      return `link ${action.path} to ${action.target}`;
    case "nameOwnAddress":
      return `add the sandbox's own addresses, as ${action.names}, to ${action.path}`;
    case "writeProc":
      return `write ${JSON.stringify(action.text)} to ${action.path}`;
    case "chdir":
      return `change to the directory ${action.path}`;
    case "enterWorkdir":
      return `change to the directory ${action.path}`;

    case "openHolder":
      return `connect to the holder of networks at ${action.directory}/networks.sock`;
    case "holdNetworks":
      return "create namespaces for networks (user, net)";
    case "enterHolder":
      return "enter the namespaces that hold the networks";
    case "joinNetwork":
      return `connect ${action.interface} to the network ${action.network}${action.ip === null ? "" : ` as ${dotted(action.ip)}`}`;
    case "leaveNetwork":
      return `disconnect ${action.interface} from the network ${action.network}`;
    case "removeBridge":
      return `remove the bridge ${action.bridge}`;
    case "loadRules":
      return "load the rules of networks (nf_tables)";
    case "startSharedUplink":
      return `start ${action.helper} for the networks`;
    case "answerNames":
      return "answer for names";

    case "makeNetwork":
      return "make a network namespace, and bring up its loopback interface";
    case "enterNetwork":
      return "enter the payload's network namespace";
    case "loopbackUp":
      return "bring up the loopback interface";
    case "reservePorts":
      return `publish ${describePorts(action.ports)}`;
    case "startUplink":
      return `start ${action.helper}`;
    case "awaitUplink":
      return `wait for ${action.helper}`;

    case "setIds":
      return `become uid ${action.uid}, gid ${action.gid}`;
    case "setgroups":
      return `set the supplementary groups (${action.gids.join(", ") || "none"})`;
    case "dieWithMonitor":
      return "die with the monitor";
    case "nonDumpable":
      return "make the init untraceable";
    case "joinKeyring":
      return `leave the caller's keyring for an empty one${action.mayStay ? ", if the quota of keys allows one more" : ""}`;
    case "dropBounding":
      return `keep in the bounding set only ${action.keep.join(", ") || "nothing"}`;
    case "keepCapabilities":
      return "keep capabilities across the change of user";
    case "setCapabilities":
      return `set capabilities to ${action.sets.permitted.join(", ") || "none"}`;
    case "noNewPrivileges":
      return "set no_new_privs";
    case "watchOwners":
      return "tell at the end if files were to belong to other ids than the only ones there are";
    case "seccomp":
      return `load a seccomp filter of ${action.filter.length / 8} instructions, from ${action.source}`;
    case "handListener":
      return `hand the listener of the seccomp filter to ${action.path}`;

    case "tidyFds":
      return describeTidyFds(action);
    case "openTerminal":
      return "open a terminal";
    case "setrlimit":
      return `set ${action.type} to ${limit(action.soft)}:${limit(action.hard)}`;
    case "umask":
      return `set the umask to ${octal(action.mask)}`;
    case "startPayload":
      return "start the payload's process";
    case "awaitInit":
      return "wait for the sandbox to be put together";
    case "execve":
      return "run";

    default:
      return assertNever(action);
  }
}

function describeTidyFds({ preserved, statusFd }: ActionOf<"tidyFds">): string {
  if (preserved === 0 && statusFd === null) return "close all file descriptors but 0 to 2";
  const status = statusFd === null ? "" : ` and ${statusFd}`;
  return `keep file descriptors 0 to ${2 + preserved}${status}, close all others`;
}

/** `127.0.0.1:8080-8081/tcp`, the side of the host. */
export function describePorts({ hostIp, hostPort, count, protocol }: PortRange): string {
  if (hostPort === null) return `a free port${hostIp === null ? "" : ` of ${hostIp}`}, ${protocol}`;
  const address = hostIp === null ? "" : hostIp.includes(":") ? `[${hostIp}]:` : `${hostIp}:`;
  const last = count === 1 ? "" : `-${hostPort + count - 1}`;
  return `port ${address}${hostPort}${last}/${protocol}`;
}

function describeMount({ source, target, type, flags, destination }: ActionOf<"mount">): string {
  const place = destination === undefined ? `on ${target}` : `for ${destination}`;
  if (flags.includes("MS_BIND")) return `bind ${source} ${place}`;
  if (type === null) {
    const below = flags.includes("MS_REC") ? "the mounts below " : "";
    return `make ${below}${target} ${flagNames(flags.filter((flag) => flag !== "MS_REC"))}`;
  }
  return `mount ${type} ${place}`;
}

function namespaceName(flag: string): string {
  return flag === "CLONE_NEWNS" ? "mnt" : flag.replace("CLONE_NEW", "").toLowerCase();
}

function flagNames(flags: readonly MountFlag[]): string {
  return flags
    .map((flag) => (flag === "MS_RDONLY" ? "read-only" : flag.replace("MS_", "").toLowerCase()))
    .join(", ");
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((bits) => (address >>> bits) & 255).join(".");
}

function octal(mode: number): string {
  return `0${mode.toString(8)}`;
}

function limit(value: bigint): string {
  return value === rlimInfinity ? "unlimited" : String(value);
}

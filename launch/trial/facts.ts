/** Everything that `sbx check` judges, read from this machine or tried out on it. */
import { spawnSync } from "node:child_process";
import { closeSync, constants, existsSync, openSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import type { Host } from "../../spec/host.js";
import { parseSubids } from "../../userns/subid.js";
import { isExecutable, readOptional } from "../facts/identity.js";
import { probe } from "../facts/probe.js";
import { isSystemError } from "../facts/system-error.js";
import { type Tried, tryHost } from "./trial.js";

/** A program in PATH and what it says of its version; null where it says nothing. */
export interface Tool {
  readonly path: string;
  readonly version: string | null;
}

const toolNames = ["fuse-overlayfs", "pasta", "slirp4netns"] as const;
export type ToolName = (typeof toolNames)[number];

export interface Facts extends Tried {
  readonly host: Host;
  /** The text of os-release(5), or empty. */
  readonly osRelease: string;
  /** Docker, podman and their like leave a mark. */
  readonly isContainer: boolean;
  /** Set-user-ID bits have no effect: PR_SET_NO_NEW_PRIVS(2const). */
  readonly noNewPrivileges: boolean;
  /** Whether the caller's processes may go on after logout, by logind; null where there is no systemd. */
  readonly lingers: boolean | null;
  /** /proc/sys/vm/memfd_noexec; null where the kernel has no such setting. */
  readonly memfdNoexec: number | null;
  /** Where the subordinate ids come from: a file, or getsubids(1). */
  readonly subidSources: { readonly uids: string; readonly gids: string };
  /** The errno with which opening for reading and writing failed, or null. */
  readonly devices: { readonly fuse: string | null; readonly tun: string | null };
  readonly tools: Readonly<Record<ToolName, Tool | null>>;
}

/** Gives up, with an `SbxError`, where not even the probe succeeds. */
export async function readFacts(environment: NodeJS.ProcessEnv): Promise<Facts> {
  const host = probe("/", environment);
  const memfdNoexec = readOptional("/proc/sys/vm/memfd_noexec");
  return {
    ...(await tryHost(host, environment)),
    host,
    osRelease: readOptional("/etc/os-release") ?? readOptional("/usr/lib/os-release") ?? "",
    isContainer: ["/.dockerenv", "/run/.containerenv"].some((path) => existsSync(path)),
    noNewPrivileges: /^NoNewPrivs:\s*1$/m.test(readOptional("/proc/self/status") ?? ""),
    lingers: existsSync("/run/systemd/system")
      ? existsSync(`/var/lib/systemd/linger/${host.user.name ?? host.user.uid}`)
      : null,
    memfdNoexec: memfdNoexec === null ? null : Number(memfdNoexec),
    subidSources: { uids: subidSource("uid", host), gids: subidSource("gid", host) },
    devices: { fuse: openDevice("/dev/fuse"), tun: openDevice("/dev/net/tun") },
    tools: {
      "fuse-overlayfs": findTool("fuse-overlayfs", environment),
      pasta: findTool("pasta", environment),
      slirp4netns: findTool("slirp4netns", environment),
    },
  };
}

function subidSource(kind: "uid" | "gid", { user }: Host): string {
  const file = `/etc/sub${kind}`;
  return parseSubids(readOptional(file) ?? "", user).length > 0 ? file : "getsubids";
}

function openDevice(path: string): string | null {
  try {
    closeSync(openSync(path, constants.O_RDWR | constants.O_NONBLOCK));
    return null;
  } catch (error) {
    if (isSystemError(error)) return error.code;
    throw error;
  }
}

function findTool(name: ToolName, { PATH = "" }: NodeJS.ProcessEnv): Tool | null {
  const directories = [...PATH.split(":").filter(isAbsolute), "/usr/bin", "/bin", "/usr/local/bin"];
  const path = directories.map((directory) => join(directory, name)).find(isExecutable);
  if (path === undefined) return null;
  const { stdout } = spawnSync(path, ["--version"], {
    stdio: ["ignore", "pipe", "ignore"],
    encoding: "utf8",
    timeout: 2000,
  });
  const lines = (stdout ?? "").split("\n");
  // fuse-overlayfs names the version of fusermount first.
  const version = lines.find((line) => line.startsWith(name)) ?? lines[0];
  return { path, version: version === undefined || version === "" ? null : version };
}

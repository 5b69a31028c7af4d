/** What a plan has to know of the helpers that connect a network namespace with the host's network. */
import { join } from "node:path";
import { pastaOptions, type UplinkFacts } from "../../spec/host.js";
import { findInPath, type MachineFiles, readOptional } from "./identity.js";
import { canOpen } from "./layer-facts.js";
import { readBytes } from "./readings.js";
import { isSystemError } from "./system-error.js";

/** For a sandbox that needs no way out. */
export const noUplinks: UplinkFacts = {
  pasta: null,
  slirp4netns: null,
  tun: false,
  ipv6: false,
  routes: { ipv4: null, ipv6: false },
};

/**
 * Looks for pasta and slirp4netns. Which options pasta knows is read in its own file, which has the
 * usage text in it: that takes a tenth of the time of starting it, and it has said `unknown version`.
 */
export function readUplinks({ PATH }: NodeJS.ProcessEnv, files: MachineFiles): UplinkFacts {
  const pasta = findInPath("pasta", PATH, files.bin)[0];
  const slirp4netns = findInPath("slirp4netns", PATH, files.bin)[0];
  return {
    pasta: pasta === undefined ? null : { path: pasta, options: knownOptions(pasta) },
    slirp4netns: slirp4netns === undefined ? null : { path: slirp4netns },
    tun: canOpen("/dev/net/tun"),
    ipv6: readOptional(join(files.proc, "net/if_inet6")) !== null,
    routes: {
      ipv4: defaultGateway(readOptional(join(files.proc, "net/route")) ?? ""),
      ipv6: hasDefaultRoute6(readOptional(join(files.proc, "net/ipv6_route")) ?? ""),
    },
  };
}

function knownOptions(path: string): (typeof pastaOptions)[number][] {
  try {
    const bytes = readBytes(path);
    return pastaOptions.filter((name) => bytes.includes(`--${name}`));
  } catch (error) {
    // A program may be executable without being readable.
    if (isSystemError(error)) return [];
    throw error;
  }
}

/**
 * The gateway of the default route, null where there is none. Columns of proc_pid_net(5), `route`:
 * interface, destination, gateway, flags, …, mask, in hexadecimal and the machine's byte order.
 */
export function defaultGateway(text: string): string | null {
  for (const line of text.split("\n")) {
    const [, destination, gateway = "", , , , , mask] = line.split(/\s+/);
    if (destination !== "00000000" || mask !== "00000000") continue;
    const bytes = gateway.match(/../g) ?? [];
    return bytes
      .reverse()
      .map((byte) => Number.parseInt(byte, 16))
      .join(".");
  }
  return null;
}

/** RTF_REJECT of linux/ipv6_route.h: what has no route has such a one, on the loopback. */
const rejects = 0x200;

/** Columns of net/ipv6/route.c: destination, its prefix, source, its prefix, next hop, …, flags, interface. */
export function hasDefaultRoute6(text: string): boolean {
  return text.split("\n").some((line) => {
    const [destination, prefix, , , , , , , flags = "0"] = line.split(/\s+/);
    const isDefault = /^0{32}$/.test(destination ?? "") && prefix === "00";
    return isDefault && (Number.parseInt(flags, 16) & rejects) === 0;
  });
}

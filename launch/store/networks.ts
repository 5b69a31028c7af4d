/**
 * The networks of `sbx network create`: a file NAME.json each below the store, whole or not there. What
 * is made or removed is under one lock, so that no two get the same addresses. A run only reads them.
 */
import { randomBytes, randomInt } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { fail, type Problem, SbxError } from "../../spec/error.js";
import { didYouMean } from "../../spec/nearest.js";
import type { Network, NetworkKeys } from "../../spec/network.js";
import { network as networkShape } from "../../spec/network-shape.js";
import { dataDirectory, makeDirectories } from "../facts/directories.js";
import { isSystemError } from "../facts/system-error.js";
import { withLock } from "../life/lock-file.js";

/** Where the networks of the user are. */
export const networkStore = (environment: NodeJS.ProcessEnv, home: string) =>
  join(dataDirectory(environment, home), "networks");

/** Null where there is no such network. Fails on a file that is not as sbx wrote it. */
export function findNetwork(store: string, name: string): Network | null {
  const path = join(store, `${name}.json`);
  try {
    const found = parse(readText(path), path);
    return found.name === name ? found : fail(`read ${path}`, `it is of ${found.name}`, unfit);
  } catch (error) {
    if (isSystemError(error) && /^(ENOENT|ENOTDIR)$/.test(error.code)) return null;
    if (!isSystemError(error)) throw error;
    return fail(`read ${path}`, `${error.syscall} failed (${error.code})`);
  }
}

/** Of a fifo nothing is read, and nobody is waited for. */
function readText(path: string): string {
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    return fs.readFileSync(fd, "utf8");
  } finally {
    fs.closeSync(fd);
  }
}

const unfit = "Remove the file and make the network anew: sbx network create";

function parse(text: string, path: string): Network {
  const problems: Problem[] = [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    fail(`read ${path}`, `it is no JSON: ${error.message}`, unfit);
  }
  const found = networkShape(value, "", (at, why) => {
    problems.push({ what: `read ${path}`, why: `${at} ${why}`, hint: unfit });
  });
  if (found === undefined || problems.length > 0) throw new SbxError(problems);
  return found;
}

/** Fails where there is no such network, with the names of those that there are. */
export function requireNetwork(store: string, name: string): Network {
  const found = findNetwork(store, name);
  if (found !== null) return found;
  const names = networkNames(store);
  const known = names.length === 0 ? "There is none yet" : `There are ${names.join(", ")}`;
  return fail(
    `network ${name}`,
    "there is no such network",
    didYouMean(name, names) ?? `${known}; make it with sbx network create ${name}`,
  );
}

/** Those that a sandbox is to be on. */
export function readNetworks(keys: NetworkKeys | undefined, store: string): Network[] {
  if (keys?.from.mode !== "networks") return [];
  return keys.from.networks.map(({ name }) => requireNetwork(store, name));
}

/** By name. */
export function listNetworks(store: string): Network[] {
  return networkNames(store).flatMap((name) => findNetwork(store, name) ?? []);
}

function networkNames(store: string): string[] {
  const files = fs.existsSync(store) ? fs.readdirSync(store).sort() : [];
  return files.flatMap((file) => /^([^.].*)\.json$/.exec(file)?.[1] ?? []);
}

/**
 * Writes down what `choose` makes of the networks that there are. Gives null where the name is taken.
 * The bridge, which nobody has chosen, gets a name that no other has.
 */
export async function createNetwork(
  store: string,
  name: string,
  choose: (others: readonly Network[]) => Omit<Network, "name" | "bridge" | "createdMs">,
): Promise<Network | null> {
  return locked(store, () => {
    if (fs.existsSync(join(store, `${name}.json`))) return null;
    const others = listNetworks(store);
    const chosen = choose(others);
    const made: Network = {
      name,
      bridge: freeBridge(chosen.internal, others),
      ...chosen,
      createdMs: Date.now(),
    };
    const fresh = join(store, `.${randomBytes(8).toString("hex")}`);
    fs.writeFileSync(fresh, `${JSON.stringify(made, null, 2)}\n`, { flag: "wx", mode: 0o600 });
    fs.renameSync(fresh, join(store, `${name}.json`));
    return made;
  });
}

function freeBridge(internal: boolean, others: readonly Network[]): string {
  const bridge = `sbx${internal ? "i" : "e"}${randomBytes(4).toString("hex")}`;
  return others.some((other) => other.bridge === bridge) ? freeBridge(internal, others) : bridge;
}

/** Removes the network, if `isFree` says that nobody is on it. False where there was none. */
export async function removeNetwork(store: string, name: string): Promise<boolean> {
  return locked(store, () => {
    const path = join(store, `${name}.json`);
    if (!fs.existsSync(path)) return false;
    fs.unlinkSync(path);
    return true;
  });
}

/** A whole number from 0 to below `below`, by which subnets are chosen. */
export const random = (below: number): number => randomInt(below);

/** Alone with the store. */
async function locked<T>(store: string, work: () => T): Promise<T> {
  try {
    makeDirectories(store);
    return await withLock(join(store, ".lock"), work);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return fail(
      `change the networks in ${store}`,
      `${error.syscall} failed (${error.code})`,
      "XDG_DATA_HOME can name a directory of yours where there is room",
    );
  }
}

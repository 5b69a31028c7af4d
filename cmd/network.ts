/** `sbx network`: the networks that `--network=NAME` joins. */
import { createHash } from "node:crypto";
import { writeSync } from "node:fs";
import { callersRunDirectory } from "../launch/facts/run-directory.js";
import { listSandboxes } from "../launch/life/records.js";
import type { Sandbox } from "../launch/life/sandbox.js";
import { callersPlaces, findRunning } from "../launch/life/sandboxes.js";
import {
  connectNetwork,
  disconnectNetwork,
  linkOf,
  removeBridge,
} from "../launch/programs/connect-network.js";
import {
  findNetwork,
  listNetworks,
  networkStore,
  removeNetwork,
  requireNetwork,
} from "../launch/store/networks.js";
import { addressNumber, addressText } from "../netns/subnet.js";
import { fail, SbxError } from "../spec/error.js";
import { didYouMean } from "../spec/nearest.js";
import type { Network } from "../spec/network.js";
import { confirm } from "./confirm.js";
import { create } from "./network-create.js";
import { readAlias, readIp, readIp6 } from "./network-values.js";
import { type NetworkCommand, networkCommands } from "./options/networks.js";
import type { FlagsOf } from "./options/option.js";
import { parseWords } from "./parse.js";
import { print } from "./print.js";
import { table } from "./table.js";

/** `argv` is what follows `network`. Gives 0, or 1 where some of several networks could not be had. */
export async function network([name, ...argv]: readonly string[]): Promise<number> {
  const names = Object.keys(networkCommands);
  const all = `There are ${names.join(", ")}`;
  if (name === undefined) fail("network", "no command is given", all);
  if (!Object.hasOwn(networkCommands, name)) {
    fail(`network ${name}`, "no such command", didYouMean(name, names) ?? all);
  }
  return commands[name as NetworkCommand](argv, networkStore(process.env, process.env.HOME ?? "/"));
}

const commands = {
  create: async (argv, store) => {
    const { flags, words } = parse("create", argv, 1);
    await create(store, words[0] ?? "", flags);
    return 0;
  },
  ls: list,
  inspect,
  rm: remove,
  connect: (argv, store) => connect("connect", argv, store),
  disconnect: (argv, store) => connect("disconnect", argv, store),
  prune,
} satisfies Record<NetworkCommand, (argv: readonly string[], store: string) => Promise<number>>;

/** The flags and exactly `count` words, or at least one where it is null. */
function parse<C extends NetworkCommand>(
  command: C,
  argv: readonly string[],
  count: number | null,
) {
  const { options, words: form } = networkCommands[command];
  const { flags, words } = parseWords(argv, options);
  if (count === null ? words.length === 0 : words.length !== count) {
    const what = ["network", command, ...words].join(" ");
    fail(what, `the form is sbx network ${command} ${form}`.trimEnd());
  }
  return { flags: flags as FlagsOf<(typeof networkCommands)[C]["options"]>, words };
}

async function list(argv: readonly string[], store: string): Promise<number> {
  const { flags } = parse("ls", argv, 0);
  const networks = listNetworks(store);
  if (flags.quiet === true) print(networks.map(({ name }) => `${name}\n`).join(""));
  else if (flags.json === true)
    print(json(networks, await listSandboxes(callersRunDirectory(process.env))));
  else print(networkTable(networks, await listSandboxes(callersRunDirectory(process.env))));
  return 0;
}

function networkTable(networks: readonly Network[], sandboxes: readonly Sandbox[]): string {
  const rows = networks.map((network) => [
    network.name,
    [network.subnet, ...(network.subnet6 ? [network.subnet6] : [])].join(", "),
    network.internal ? "no" : "yes",
    `${sandboxes.filter((each) => isOn(each, network)).length}`,
  ]);
  return table(columns, rows, process.stdout.isTTY ? process.stdout.columns : null);
}

const columns = [
  { title: "NAME", worth: null },
  { title: "SUBNETS", worth: 3 },
  { title: "WAY OUT", worth: 1 },
  { title: "SANDBOXES", worth: 2 },
] as const;

/** Whatever it was started on: it may have been connected and disconnected since. */
function isOn(sandbox: Sandbox, network: Network): boolean {
  return sandbox.spec.sbx.network?.from.mode === "networks" && linkOf(sandbox, network) !== null;
}

async function inspect(argv: readonly string[], store: string): Promise<number> {
  const { words } = parse("inspect", argv, null);
  const { done, status } = tryAll(words, (name) => requireNetwork(store, name));
  print(json(done, await listSandboxes(callersRunDirectory(process.env))));
  return status;
}

/** In podman's words: podman-network-inspect(1). */
function json(networks: readonly Network[], sandboxes: readonly Sandbox[]): string {
  const described = networks.map((network) => ({
    name: network.name,
    id: createHash("sha256").update(network.name).digest("hex"),
    driver: "bridge",
    network_interface: network.bridge,
    created: new Date(network.createdMs).toISOString(),
    subnets: [
      {
        subnet: network.subnet,
        gateway: network.gateway,
        ...(network.ipRange && { ip_range: network.ipRange }),
      },
      ...(network.subnet6 ? [{ subnet: network.subnet6, gateway: network.gateway6 }] : []),
    ],
    ipv6_enabled: network.subnet6 !== undefined,
    internal: network.internal,
    dns_enabled: network.dns !== false,
    labels: network.labels ?? {},
    containers: Object.fromEntries(
      sandboxes
        .filter((each) => isOn(each, network))
        .map((each) => [each.name, { name: each.name, interfaces: interfaces(network, each) }]),
    ),
  }));
  return `${JSON.stringify(described, null, 2)}\n`;
}

/** That of one sandbox on the network, with the address that it was started with. */
function interfaces(network: Network, sandbox: Sandbox) {
  const { name, subnet, gateway, subnet6 = "", gateway6 } = network;
  const prefixOf = (block: string) => block.slice(block.indexOf("/"));
  const places = sandbox.networks?.filter((place) => place.network === name) ?? [];
  const subnets = places.flatMap(({ ip, ip6 }) => [
    { ipnet: ip + prefixOf(subnet), gateway },
    ...(ip6
      ? [{ ipnet: addressText(addressNumber(ip6), 6) + prefixOf(subnet6), gateway: gateway6 }]
      : []),
  ]);
  return { [linkOf(sandbox, network) ?? ""]: { subnets } };
}

/** Each of the names, whatever becomes of the others; what fails is told at once. */
function tryAll<T>(
  names: readonly string[],
  work: (name: string) => T,
): { done: T[]; status: number } {
  let status = 0;
  const done = names.flatMap((name) => {
    try {
      return [work(name)];
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
      writeSync(2, `${error.message}\n`);
      status = 1;
      return [];
    }
  });
  return { done, status };
}

async function remove(argv: readonly string[], store: string): Promise<number> {
  const { flags, words } = parse("rm", argv, null);
  const sandboxes = await listSandboxes(callersRunDirectory(process.env));
  const { done, status } = tryAll(words, (name) => {
    // As with podman, --force is content where there is nothing to remove.
    if (flags.force === true && findNetwork(store, name) === null) return null;
    const network = requireNetwork(store, name);
    const users = sandboxes.filter((each) => isOn(each, network)).map((each) => each.name);
    if (users.length > 0) {
      fail(
        `network rm ${name}`,
        `${users.join(", ")} ${users.length === 1 ? "is" : "are"} on it`,
        "End what runs there first",
      );
    }
    return network;
  });
  for (const network of done) {
    if (network !== null) await removeWhole(store, network, sandboxes);
  }
  return status;
}

/** Those that are on networks are in user namespaces inside the holder's, which alone has rights over both. */
async function connect(
  command: "connect" | "disconnect",
  argv: readonly string[],
  store: string,
): Promise<number> {
  const { flags, words } = parse(command, argv, 2);
  const [networkName = "", name = ""] = words;
  const network = requireNetwork(store, networkName);
  const sandbox = await findRunning(callersPlaces(process.env), name);
  const what = `network ${command} ${networkName} ${sandbox.name}`;
  if (sandbox.spec.sbx.network?.from.mode !== "networks") {
    fail(what, "it was started without networks", "Start it with --network=NAME");
  }
  const link = linkOf(sandbox, network);
  if ((link !== null) === (command === "connect")) {
    fail(what, link === null ? "it is not on that network" : `it is on it already, by ${link}`);
  }
  const { ip, ip6, alias } = flags as FlagsOf<typeof networkCommands.connect.options>;
  const wanted = {
    ...(ip && { ip: readIp(ip, "--ip") }),
    ...(ip6 && { ip6: readIp6(ip6, "--ip6") }),
    ...(alias && { aliases: alias.map((each) => readAlias(each, `--alias ${each}`)) }),
  };
  const isDone =
    link === null
      ? await connectNetwork(sandbox, network, wanted, process.env)
      : await disconnectNetwork(sandbox, network, link, process.env);
  return isDone ? 0 : 125;
}

/** With its bridge, whose addresses the next network may get while the holder lives on for others. */
async function removeWhole(
  store: string,
  network: Network,
  sandboxes: readonly Sandbox[],
): Promise<void> {
  const isHeld = sandboxes.some(({ spec }) => spec.sbx.network?.from.mode === "networks");
  if (isHeld && !(await removeBridge(network, process.env))) return;
  if (await removeNetwork(store, network.name)) print(`${network.name}\n`);
}

async function prune(argv: readonly string[], store: string): Promise<number> {
  const { flags } = parse("prune", argv, 0);
  const sandboxes = await listSandboxes(callersRunDirectory(process.env));
  const unused = listNetworks(store).filter(
    (network) => !sandboxes.some((each) => isOn(each, network)),
  );
  const what = "All networks that no sandbox is on will be removed:\n";
  const names = unused.map(({ name }) => `  ${name}\n`).join("");
  if (flags.force !== true && !(await confirm("network prune", what + names))) return 0;
  for (const each of unused) await removeWhole(store, each, sandboxes);
  return 0;
}

/** Puts sandboxes that are running on networks, and takes them off. */
import { readFileSync } from "node:fs";
import { planNetworks } from "../../netns/networks.js";
import { defaultSpec } from "../../spec/default.js";
import { fail } from "../../spec/error.js";
import type { Network, NetworkAttachment } from "../../spec/network.js";
import type { Spec } from "../../spec/spec.js";
import type { Step } from "../../spec/step.js";
import { planIdMaps } from "../../userns/idmap.js";
import { probe } from "../facts/probe.js";
import { isSystemError } from "../facts/system-error.js";
import { joinedOf, type Sandbox } from "../life/sandbox.js";
import { lowerConnect } from "../lower/netns/connect-network.js";
import { compile } from "../machine/link.js";
import { allIds } from "../plan/parts.js";
import { step } from "../plan/steps.js";
import { runProgram } from "../process/run-program.js";

/** What the link is called inside that a sandbox was given while it ran: by the bridge, which no two networks share. */
const laterName = ({ bridge }: Network) => `net${bridge.slice(4)}`;

/** The link of the sandbox's to the network; null where it has none. */
export function linkOf(sandbox: Sandbox, network: Network): string | null {
  const given = sandbox.networks?.find((each) => each.network === network.name)?.interface;
  const [name, file] = [given ?? laterName(network), `/proc/${sandbox.init}/net/dev`];
  return readLinks(file)
    .split("\n")
    .some((line) => line.trim().startsWith(`${name}:`))
    ? name
    : null;
}

/** Nothing where the sandbox has ended, be it while it is read. */
function readLinks(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (isSystemError(error) && /^(ENOENT|ENXIO|ESRCH|EINVAL)$/.test(error.code)) return "";
    throw error;
  }
}

/** False where it could not be had: why, the program has told. */
export function connectNetwork(
  sandbox: Sandbox,
  network: Network,
  wanted: Omit<NetworkAttachment, "name">,
  environment: NodeJS.ProcessEnv,
): Promise<boolean> {
  const attachment = { ...wanted, name: network.name };
  return run(sandbox, attachment, environment, ({ enter, join }) => [
    ...enter,
    ...join.map(({ action, ...rest }) =>
      action.kind === "joinNetwork"
        ? { ...rest, action: { ...action, interface: laterName(network), isDefault: false } }
        : { ...rest, action },
    ),
  ]);
}

export function disconnectNetwork(
  sandbox: Sandbox,
  network: Network,
  link: string,
  environment: NodeJS.ProcessEnv,
): Promise<boolean> {
  return run(sandbox, { name: network.name }, environment, ({ enter }) => [
    ...enter,
    step("monitor", "network", { kind: "leaveNetwork", network: network.name, interface: link }),
  ]);
}

/** Removes the bridge of a network that is removed itself, where somebody else's networks outlive it. */
export function removeBridge(network: Network, environment: NodeJS.ProcessEnv): Promise<boolean> {
  return run(null, { name: network.name }, environment, ({ enter }) => [
    ...enter,
    step("monitor", "network", { kind: "removeBridge", bridge: network.bridge }),
  ]);
}

type Networks = NonNullable<ReturnType<typeof planNetworks>>;

/** Null: about no sandbox. */
async function run(
  sandbox: Sandbox | null,
  attachment: NetworkAttachment,
  environment: NodeJS.ProcessEnv,
  work: (networks: Networks) => readonly Step[],
): Promise<boolean> {
  const network = { from: { mode: "networks" as const, networks: [attachment] } };
  const { name, spec } = sandbox ?? { name: "", spec: defaultSpec("/") };
  const wanted: Spec = { ...spec, sbx: { ...spec.sbx, network } };
  const host = probe("/", environment, undefined, { network });
  const networks = planNetworks(wanted, host, () => planIdMaps(allIds(wanted), host));
  if (networks === null) throw new Error("there are no networks to plan");
  const hints = {
    EPERM: "The holder of its networks has ended since it was started: start the sandbox anew",
  };
  const steps: Step[] = [
    step("monitor", "prepare", { kind: "tidyFds", preserved: 0, statusFd: null }),
    ...(sandbox === null
      ? []
      : [
          step("monitor", "clone", {
            kind: "openJoined",
            from: joinedOf(host.run, sandbox, ["network"]),
          }),
        ]),
    ...networks.open,
    ...work(networks).map((each) => ({
      ...each,
      role: "monitor" as const,
      hints: { ...hints, ...each.hints },
    })),
    ...networks.hold,
  ];
  const plan = { steps, notes: [], warnings: [], init: true, statusFd: null };
  const bytes = compile(lowerConnect(plan, name), host.architecture);
  const { status, error } = await runProgram(bytes, host, environment, {
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (error !== undefined) fail(`change the network ${attachment.name}`, error.message);
  return status === 0;
}

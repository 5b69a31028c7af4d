/** Networks of siblings, `sbx network create`: what a sandbox on them does, and what their holder does. */
import type { Attachment } from "../spec/actions/networks.js";
import type { Uplink } from "../spec/actions/uplink.js";
import { defaultHostname } from "../spec/default.js";
import { fail } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import type { Spec } from "../spec/spec.js";
import type { Action, ActionOf, Step } from "../spec/step.js";
import { attachments } from "./attachments.js";
import { resolversThrough } from "./resolvers.js";
import { mendOf, planSharedUplink, sharedKeys } from "./uplink.js";

type Maps = Omit<ActionOf<"mapIds">, "kind">;

export interface NetworksPlan {
  /** The holder's. */
  readonly maps: Maps;
  /** First of all, while nothing is open that the holder must not have. */
  readonly open: readonly Step[];
  /** In the stepper, before the init is cloned and after its ids are mapped. */
  readonly enter: readonly Step[];
  readonly join: readonly Step[];
  /** What the holder does where it has to be started. */
  readonly hold: readonly Step[];
  readonly warnings: readonly string[];
}

/** `planMaps` gives how the holder's user namespace maps the caller's ids. */
export function planNetworks(spec: Spec, host: Host, planMaps: () => Maps): NetworksPlan | null {
  const { network } = spec.sbx;
  if (network?.from.mode !== "networks") return null;
  const { run } = host;
  if (run.path === null) {
    fail(
      "connect the sandbox to a network",
      `there is no directory for what runs: ${run.why}`,
      "Set XDG_RUNTIME_DIR or XDG_STATE_HOME to a directory of your own, which nobody else may write to",
    );
  }
  // Where ports are published, answers and all else go by that way: netns/uplink.ts.
  const hasOwnWay = (network.ports ?? []).length > 0;
  const links = attachments(network.from.networks, host.networks, namesOf(spec)).map((link) => ({
    ...link,
    isDefault: link.isDefault && !hasOwnWay,
  }));
  const hasSix = links.some(({ six }) => six !== null);
  const maps = planMaps();
  const { uplink, reasons } = planSharedUplink(host);
  const wantsOut = links.some(({ isDefault }) => isDefault);
  return {
    maps,
    open: [
      step(
        "monitor",
        "network",
        { kind: "openHolder", directory: run.path, base: run.base },
        holderHints,
      ),
    ],
    enter: [
      step("stepper", "network", { kind: "enterHolder" }),
      // Not by the holder, which is as well on a host without IPv6.
      ...(hasSix ? [forward("stepper", "ipv6/conf/all/forwarding")] : []),
    ],
    join: links.map((link) =>
      step("stepper", "network", { kind: "joinNetwork", ...link }, joinHints(link)),
    ),
    hold: holderSteps(maps, uplink, host),
    warnings:
      wantsOut && uplink === null
        ? [`the networks have no way out: ${reasons.join("; ")}. ${mendOf(host)}`]
        : [],
  };
}

/** What the holder does where it has to be started. */
function holderSteps(maps: Maps, uplink: Uplink | null, host: Host): Step[] {
  return [
    step("keeper", "clone", { kind: "holdNetworks" }),
    step("keeper", "idmap", { kind: "mapIds", ...maps }),
    ...(uplink === null
      ? []
      : [step("keeper", "network", { kind: "startSharedUplink", ...uplink })]),
    step("answerer", "network", { kind: "loopbackUp" }),
    step("answerer", "network", { kind: "loadRules" }, rulesHints),
    forward("answerer", "ipv4/ip_forward"),
    // The module br_netfilter would have the rules for what is routed decide among siblings as well.
    ...["iptables", "ip6tables"].map((rules) => {
      const path = `/proc/sys/net/bridge/bridge-nf-call-${rules}`;
      const action = {
        kind: "writeProc",
        path,
        staged: null,
        text: "0",
        isOptional: true,
      } as const;
      return step("answerer", "network", action);
    }),
    // It gives all rights up, so that it comes last.
    step("answerer", "network", {
      kind: "answerNames",
      architecture: host.architecture,
      upstreams: uplink === null ? [] : resolversThrough(uplink.helper, sharedKeys, host),
    }),
  ];
}

/** By which a sandbox is known on all of its networks, besides its own. */
function namesOf({ hostname }: Spec): string[] {
  return hostname === undefined || hostname === defaultHostname ? [] : [hostname];
}

const rulesHints = {
  EPROTONOSUPPORT: "The kernel has no packet filter: load the module nf_tables, as root",
  EOPNOTSUPP: "The kernel has no packet filter: load the module nf_tables, as root",
  ENOENT:
    "The kernel lacks a part of nf_tables: load the modules nft_ct, nft_fib_inet, nft_masq and nft_chain_nat, as root",
};

const foreign = "Something else is there: remove it";
const holderHints = {
  EADDRINUSE: foreign,
  EPROTOTYPE: foreign,
  ETIMEDOUT:
    "Your process sbx-networks is stopped, or waits for what is: kill it, and start anew all that is on networks",
};

const joinHints = ({ network, six }: Attachment) => ({
  EOPNOTSUPP: `The kernel lacks a kind of link: load the modules bridge and veth, as root${six === null ? "" : ", and see that it has IPv6 and is Linux 5.5 or later"}`,
  addressTaken: `Choose another with --ip or --ip6: \`sbx network inspect ${network}\` tells who has it`,
  networkFull: `End some of its sandboxes, or make a network with a larger --subnet: \`sbx network inspect ${network}\` tells who is on it`,
  EXFULL: "A bridge takes 1023 sandboxes: make a second network",
});

function forward(role: Step["role"], file: string): Step {
  return step(
    role,
    "network",
    { kind: "writeProc", path: `/proc/sys/net/${file}`, staged: null, text: "1" },
    {
      EROFS: "/proc/sys is read-only here, as in a container: networks cannot be had",
      ENOENT: "The kernel has no IPv6: make a network without it",
    },
  );
}

function step(
  role: Step["role"],
  phase: Step["phase"],
  action: Action,
  hints?: Step["hints"],
): Step {
  return hints === undefined ? { role, phase, action } : { role, phase, action, hints };
}

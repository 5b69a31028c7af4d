/**
 * Names: which resolver a sandbox asks, how it knows itself, and at which address it reaches the host.
 * The model is podman 5.
 */
import type { UplinkHelper } from "../spec/actions/uplink.js";
import { assertNever } from "../spec/assert-never.js";
import { fail } from "../spec/error.js";
import type { Host } from "../spec/host.js";
import { hostGateway, type NetworkKeys } from "../spec/network.js";
import type { Spec } from "../spec/spec.js";
import { pastaHost } from "./pasta.js";
import { resolvConf } from "./resolvers.js";
import { slirpHost } from "./slirp4netns.js";

/** `helper`: what connects the sandbox, or the networks that it is on, with the host; null for nothing. */
export function planNames(spec: Spec, host: Host, helper: UplinkHelper | null) {
  const shared = !spec.linux.namespaces.some(({ type }) => type === "network");
  const keys: NetworkKeys = spec.sbx.network ?? { from: { mode: shared ? "host" : "none" } };
  const gateway = hostAddress(keys, host, helper);
  const added = (spec.sbx.etcFiles?.addHosts ?? []).map(({ address, name }) => {
    if (address !== hostGateway) return `${address}\t${name}`;
    if ("why" in gateway) fail(`--add-host ${name}:${hostGateway}`, gateway.why, gateway.hint);
    return `${gateway.address}\t${name}`;
  });
  const usual = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"];
  return {
    resolvConf: resolvConf(keys, host, helper),
    hosts: [
      // The names of the host's network are of use only where that is shared.
      ...(shared ? host.etc.hosts.split("\n").filter((line) => line !== "") : usual),
      ...added,
      ...("why" in gateway || shared
        ? []
        : [`${gateway.address}\thost.containers.internal host.docker.internal`]),
    ],
    towards: towards(keys, host, helper),
  };
}

/** Of networks each has one; through a helper, that from which the wide world is reached (RFC 5737, RFC 3849). */
function towards(
  { from }: NetworkKeys,
  { networks }: Host,
  helper: UplinkHelper | null,
): readonly string[] {
  if (from.mode !== "networks") return helper === null ? [] : ["192.0.2.1", "2001:db8::1"];
  return networks.flatMap(({ gateway, gateway6 }) => [gateway, ...(gateway6 ? [gateway6] : [])]);
}

type Reached = { readonly address: string } | { readonly why: string; readonly hint: string };

/** The address at which the host is reached from inside, or why there is none. */
function hostAddress(
  { from, hostLoopback }: NetworkKeys,
  { uplinks, networks }: Host,
  helper: UplinkHelper | null,
): Reached {
  if (from.mode === "host") return { address: "127.0.0.1" };
  const hint = "--network=auto has a way to the host";
  if (from.mode === "networks" && networks.every(({ internal }) => internal)) {
    return { why: "networks without a way out do not reach the host", hint: "Add one that has" };
  }
  switch (helper) {
    case null:
      return { why: "the sandbox has no way to the host", hint };
    case "slirp4netns":
      if (hostLoopback === true) return { address: slirpHost };
      return {
        why: "slirp4netns leads to the host's loopback alone",
        hint: "Give --host-loopback",
      };
    case "pasta": {
      if (uplinks.pasta?.options.includes("map-guest-addr") === true) return { address: pastaHost };
      // Before, the gateway's address led to the host's loopback.
      const { ipv4 } = uplinks.routes;
      if (hostLoopback === true && ipv4 !== null) return { address: ipv4 };
      return {
        why: "this pasta, of before 2024-08, leads to the host's loopback alone",
        hint: from.mode === "networks" ? "Install a later passt" : "Give --host-loopback",
      };
    }
    default:
      return assertNever(helper);
  }
}

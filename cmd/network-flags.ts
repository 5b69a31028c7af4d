/** From the network's options of `sbx run` to `sbx.network`. */
import { fail } from "../spec/error.js";
import type {
  NetworkAttachment,
  NetworkKeys,
  NetworkMode,
  PublishedPort,
} from "../spec/network.js";
import {
  readAlias,
  readExpose,
  readIp,
  readIp6,
  readMac,
  readNetwork,
  readPublish,
  readResolverWord,
  readServer,
} from "./network-values.js";
import type { FlagName, Flags } from "./options/run.js";

/** Whether the host's network is asked for. */
export function sharesNetwork(flags: Flags): boolean {
  return flags.network?.includes("host") === true;
}

/**
 * The keys on top of those that a sandbox has where nothing is asked for, `base`. Fails on what no
 * spec could say: two networks of different kinds, an address for a network that is none.
 */
export function networkKeys(flags: Flags, base: NetworkKeys | undefined): NetworkKeys | undefined {
  const asked = [...new Set(flags.network)].map((text) => ({
    text,
    mode: readNetwork(text, `--network ${text}`),
  }));
  const from = withAddresses(oneMode(asked) ?? base?.from ?? { mode: "none" }, flags);
  const ports = publishedPorts(flags);
  const dns = dnsKeys(flags);
  const hostLoopback = flags["host-loopback"];
  if (asked.length === 0 && ports === undefined && dns === undefined && hostLoopback !== true) {
    return base;
  }
  return {
    from,
    ...(ports && { ports }),
    ...(dns && { dns }),
    ...(hostLoopback && { hostLoopback }),
  };
}

/** Several may be given only where all are names. */
function oneMode(asked: readonly { text: string; mode: NetworkMode }[]): NetworkMode | undefined {
  const networks: NetworkAttachment[] = [];
  for (const { text, mode } of asked) {
    if (mode.mode === "networks") networks.push(...mode.networks);
    else if (asked.length > 1) {
      const other = asked.find((each) => each.text !== text)?.text ?? text;
      fail(
        `--network ${text}`,
        `cannot be given together with --network ${other}`,
        "Only networks of `sbx network create` can be joined several at once",
      );
    }
  }
  return networks.length > 0 ? { mode: "networks", networks } : asked[0]?.mode;
}

/** podman-run(1): aliases are for all networks, an address for the only one. */
function withAddresses(from: NetworkMode, flags: Flags): NetworkMode {
  const own = {
    ...(flags.ip !== undefined && { ip: readIp(flags.ip, `--ip ${flags.ip}`) }),
    ...(flags.ip6 !== undefined && { ip6: readIp6(flags.ip6, `--ip6 ${flags.ip6}`) }),
    ...(flags["mac-address"] !== undefined && {
      mac: readMac(flags["mac-address"], `--mac-address ${flags["mac-address"]}`),
    }),
  };
  const aliases = (flags["network-alias"] ?? []).map((text) =>
    readAlias(text, `--network-alias ${text}`),
  );
  const given = (["ip", "ip6", "mac-address", "network-alias"] as const satisfies FlagName[]).find(
    (name) => flags[name] !== undefined,
  );
  if (given === undefined) return from;
  if (from.mode !== "networks") {
    fail(
      `--${given}`,
      "is for a network of `sbx network create`, and none is named",
      `Name one: sbx network create NAME, then --network=NAME --${given}=…`,
    );
  }
  const { networks } = from;
  if (Object.keys(own).length > 0 && networks.length > 1) {
    fail(
      `--${given}`,
      `which of the ${networks.length} networks it is for cannot be told`,
      `Give it with one: --network=${networks[0]?.name}:ip=…,mac=…`,
    );
  }
  return {
    mode: "networks",
    networks: networks.map((network) => {
      const all = [...new Set([...(network.aliases ?? []), ...aliases])];
      return { ...network, ...own, ...(all.length > 0 && { aliases: all }) };
    }),
  };
}

function publishedPorts(flags: Flags): PublishedPort[] | undefined {
  const ports = (flags.publish ?? []).flatMap((text) => readPublish(text, `--publish ${text}`));
  const exposed = (flags.expose ?? []).flatMap((text) => readExpose(text, `--expose ${text}`));
  if (flags["publish-all"] === true) {
    if (exposed.length === 0) {
      fail("--publish-all", "no port is exposed", "Say which there are: --expose=80");
    }
    for (const { protocol, containerPort } of exposed) {
      const isPublished = ports.some(
        (port) => port.protocol === protocol && port.containerPort === containerPort,
      );
      if (!isPublished) ports.push({ protocol, containerPort });
    }
  }
  return ports.length > 0 ? ports : undefined;
}

function dnsKeys(flags: Flags): NetworkKeys["dns"] {
  const { dns, "dns-search": searches, "dns-option": options } = flags;
  if (dns === undefined && searches === undefined && options === undefined) return undefined;
  return {
    ...(dns && { servers: dns.map((text) => readServer(text, `--dns ${text}`)) }),
    ...(searches && {
      searches: searches.map((text) => readResolverWord(text, `--dns-search ${text}`)),
    }),
    ...(options && {
      options: options.map((text) => readResolverWord(text, `--dns-option ${text}`)),
    }),
  };
}

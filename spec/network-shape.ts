/** Checks of the network's keys: spec/network.ts. */
import { isIP, isIPv4, isIPv6 } from "./ip.js";
import type {
  DnsKeys,
  Network,
  NetworkAttachment,
  NetworkKeys,
  NetworkMode,
  PublishedPort,
} from "./network.js";
import {
  type Check,
  list,
  object,
  oneOf,
  optional,
  record,
  text,
  textThat,
  whole,
  yesOrNo,
} from "./shape.js";

export const whatNamesAre =
  "letters, digits, `_`, `.` and `-`, beginning with a letter or digit, 64 at most";

/** Names of sandboxes and networks, as docker and podman have them. */
export function isGivenName(word: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$/.test(word);
}
export const givenName = textThat(`be ${whatNamesAre}`, isGivenName);

/** The words of `--network`, some of podman's and docker's with them: nothing has such a name. */
export const networkWords = [
  "none",
  "host",
  "private",
  "auto",
  "pasta",
  "slirp4netns",
  "container",
  "ns",
  "bridge",
  "default",
] as const;
/** A name that is not taken for one of these words. */
export function isFreeName(word: string): boolean {
  return isGivenName(word) && !(networkWords as readonly string[]).includes(word);
}
export const freeName = textThat(
  `be ${whatNamesAre}, and none of the words ${networkWords.join(", ")}`,
  isFreeName,
);

/** An IP address that means the same everywhere: without the name of an interface of one machine. */
export function isAddress(word: string): boolean {
  return isIP(word) !== 0 && !word.includes("%");
}
/** Of one interface, not of a group: the lowest bit of the first byte, IEEE 802. */
export function isMacAddress(word: string): boolean {
  return /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/i.test(word) && word !== "00:00:00:00:00:00";
}

const address = textThat("be an IP address", isAddress);
const port = whole(1, 65535);
/** What resolv.conf(5) separates by blanks. */
const resolverWord = textThat("be one word", (word) => /^\S+$/.test(word));

const attachment = object<NetworkAttachment>({
  name: freeName,
  ip: optional(textThat("be an IPv4 address", isIPv4)),
  ip6: optional(textThat("be an IPv6 address", (word) => isAddress(word) && isIPv6(word))),
  mac: optional(textThat("be six bytes as 02:42:ac:11:00:02, of one interface", isMacAddress)),
  aliases: optional(list(givenName)),
});

const modes = {
  host: object<{ mode: "host" }>({ mode: oneOf("host") }),
  none: object<{ mode: "none" }>({ mode: oneOf("none") }),
  auto: object<{ mode: "auto" }>({ mode: oneOf("auto") }),
  pasta: object<{ mode: "pasta" }>({ mode: oneOf("pasta") }),
  slirp4netns: object<{ mode: "slirp4netns" }>({ mode: oneOf("slirp4netns") }),
  networks: object<Extract<NetworkMode, { mode: "networks" }>>({
    mode: oneOf("networks"),
    networks: list(attachment, 1),
  }),
  sandbox: object<Extract<NetworkMode, { mode: "sandbox" }>>({
    mode: oneOf("sandbox"),
    sandbox: givenName,
  }),
  path: object<Extract<NetworkMode, { mode: "path" }>>({
    mode: oneOf("path"),
    path: textThat("be an absolute path", (word) => word.startsWith("/")),
  }),
} satisfies Record<NetworkMode["mode"], Check<NetworkMode>>;
const anyMode = oneOf(...(Object.keys(modes) as NetworkMode["mode"][]));

const from: Check<NetworkMode> = (value, at, report) => {
  if (typeof value !== "object" || value === null) return modes.none(value, at, report);
  const mode = anyMode((value as { mode?: unknown }).mode, `${at}.mode`, report);
  return mode === undefined ? undefined : modes[mode](value, at, report);
};

export const networkKeys = object<NetworkKeys>({
  from,
  ports: optional(
    list(
      object<PublishedPort>({
        protocol: oneOf("tcp", "udp"),
        hostIp: optional(address),
        hostPort: optional(port),
        containerPort: port,
      }),
    ),
  ),
  dns: optional(
    object<DnsKeys>({
      servers: optional(list(address)),
      searches: optional(list(resolverWord)),
      options: optional(list(resolverWord)),
    }),
  ),
  hostLoopback: optional(yesOrNo),
});

const subnet = textThat("be a subnet, as 10.89.0.0/24", (word) => /^[0-9a-f.:]+\/\d+$/i.test(word));

/** What a file of the store says. */
export const network = object<Network>({
  name: freeName,
  bridge: textThat("be the name of a bridge", (word) => /^sbx[ei][0-9a-f]{8}$/.test(word)),
  subnet,
  gateway: address,
  subnet6: optional(subnet),
  gateway6: optional(address),
  ipRange: optional(subnet),
  internal: yesOrNo,
  dns: optional((value, at, report) => (yesOrNo(value, at, report) === false ? false : undefined)),
  labels: optional(record(text, text)),
  createdMs: whole(0, Number.MAX_SAFE_INTEGER),
});

/** Values of the network's options, read into what the spec holds. Pure. */

import { fail } from "../spec/error.js";
import { isIP, isIPv6 } from "../spec/ip.js";
import { didYouMean } from "../spec/nearest.js";
import type { NetworkAttachment, NetworkMode, PublishedPort } from "../spec/network.js";
import {
  isAddress,
  isGivenName,
  isMacAddress,
  networkWords,
  whatNamesAre,
} from "../spec/network-shape.js";
import { type Reader, wholeNumber } from "./privileges.js";

/** What one `--network` asks for; `networks` with one in it where it names one. */
export const readNetwork: Reader<NetworkMode> = (text, at) => {
  const colon = text.indexOf(":");
  const word = colon < 0 ? text : text.slice(0, colon);
  const rest = colon < 0 ? null : text.slice(colon + 1);
  switch (word) {
    case "container":
      return { mode: "sandbox", sandbox: readSandbox(rest, at) };
    case "ns":
      if (!rest?.startsWith("/")) fail(at, "must name an absolute path", "As ns:/run/netns/lab");
      return { mode: "path", path: rest };
    case "none":
    case "host":
    case "auto":
    case "private":
    case "pasta":
    case "slirp4netns":
      if (rest !== null) fail(at, `${word} takes no options`, helperHint);
      // podman's word for the default of those who are not root.
      return { mode: word === "private" ? "auto" : word };
    case "bridge":
    case "default":
      return fail(
        at,
        `there is no network that is called ${word} from the start`,
        "auto has a way out; for one with siblings, sbx network create NAME",
      );
    default:
      return { mode: "networks", networks: [readAttachment(word, rest, at)] };
  }
};

function readSandbox(text: string | null, at: string): string {
  if (text === null || !isGivenName(text)) fail(at, "names no sandbox", "As container:web");
  return text;
}

/** The sandbox whose namespace is to be joined, `container:NAME`; null for `private` and `host`. */
export const readJoin: Reader<string | null> = (text, at) => {
  if (["private", "host"].includes(text)) return null;
  const [, name] =
    /^container(?::(.*))?$/.exec(text) ??
    fail(at, "must be private, host or container:NAME", didYouMean(text, ["private", "host"]));
  return readSandbox(name ?? null, at);
};

const helperHint = "There are --publish, --host-loopback and --dns beside it";

/** The options of podman-run(1) `--network NAME:…`. */
function readAttachment(name: string, options: string | null, at: string): NetworkAttachment {
  if (!isGivenName(name)) {
    fail(
      at,
      `is none of ${networkWords.join(", ")}, and no network's name`,
      `Names are ${whatNamesAre}`,
    );
  }
  const attachment: NetworkAttachment = { name };
  for (const option of options?.split(",") ?? []) {
    const [, key = "", setting = ""] = /^([^=]*)=(.+)$/.exec(option) ?? [];
    const where = `${at}: ${option || "an empty option"}`;
    switch (key) {
      case "ip":
      case "ip6":
        if (isIPv6(setting)) attachment.ip6 = readIp6(setting, where);
        else attachment.ip = readIp(setting, where);
        break;
      case "mac":
        attachment.mac = readMac(setting, where);
        break;
      case "alias":
        attachment.aliases = [...(attachment.aliases ?? []), readAlias(setting, where)];
        break;
      default:
        fail(where, "is none of ip=ADDRESS, ip6=ADDRESS, mac=ADDRESS and alias=NAME");
    }
  }
  return attachment;
}

export const readIp: Reader<string> = (text, at) =>
  isIP(text) === 4 ? text : fail(at, "must be an IPv4 address", "As 10.89.0.7");

export const readIp6: Reader<string> = (text, at) =>
  isAddress(text) && isIPv6(text) ? text : fail(at, "must be an IPv6 address", "As fd00::7");

export const readMac: Reader<string> = (text, at) =>
  isMacAddress(text)
    ? text.toLowerCase()
    : fail(at, "must be six bytes, of one interface", "As 02:42:ac:11:00:02");

export const readAlias: Reader<string> = (text, at) =>
  isGivenName(text) ? text : fail(at, "is no name", `Names are ${whatNamesAre}`);

export const readServer: Reader<string> = (text, at) =>
  isAddress(text) ? text : fail(at, "must be the IP address of a name server", "As 9.9.9.9");

/** One word of a line of resolv.conf(5). */
export const readResolverWord: Reader<string> = (text, at) =>
  /^\S+$/.test(text) ? text : fail(at, "must be one word", "Give the option once for each");

type Protocol = PublishedPort["protocol"];
export type Exposed = Pick<PublishedPort, "protocol" | "containerPort">;

const publishForms =
  "As in 8080:80, 127.0.0.1:8080:80, [::1]:8080:80, 8000-8009:80-89/udp, or 80 for any free port";

/** All ports of podman-run(1) `--publish`, ranges written out. */
export const readPublish: Reader<PublishedPort[]> = (text, at) => {
  const { ports, protocol } = withoutProtocol(text, at);
  const [, ip, rest = ""] = /^(?:\[([^\]]*)\]:)?(.*)$/s.exec(ports) ?? [];
  const parts = rest.split(":");
  if (parts.length > 3) fail(at, "an IPv6 address stands in brackets", publishForms);
  const container = portRange(parts.at(-1) ?? "", at, publishForms);
  const host = parts.at(-2) ?? "";
  if (isIP(host) !== 0 || (ip !== undefined && parts.length === 1)) {
    fail(at, "names no port of the host's", "For any that is free, as in 127.0.0.1::80");
  }
  const hostIp = ip ?? (parts.length === 3 ? parts[0] : undefined);
  if (parts.length === 3 && ip !== undefined) fail(at, "is not understood", publishForms);
  if (hostIp !== undefined && !isAddress(hostIp)) {
    fail(at, `${JSON.stringify(hostIp)} is no IP address`, publishForms);
  }
  const from = host === "" ? null : portRange(host, at, publishForms);
  if (from !== null && from.length !== container.length) {
    fail(
      at,
      `${from.length} of the host's ports cannot be forwarded to ${container.length}`,
      "Give ranges of the same length",
    );
  }
  return container.map((containerPort, index) => ({
    protocol,
    ...(hostIp === undefined ? {} : { hostIp }),
    ...(from === null ? {} : { hostPort: from[index] as number }),
    containerPort,
  }));
};

export const readExpose: Reader<Exposed[]> = (text, at) => {
  const { ports, protocol } = withoutProtocol(text, at);
  return portRange(ports, at, "As in 80, 53/udp or 8000-8009").map((containerPort) => ({
    protocol,
    containerPort,
  }));
};

function withoutProtocol(text: string, at: string): { ports: string; protocol: Protocol } {
  const [ports = "", protocol = "tcp", ...more] = text.split("/");
  if ((protocol !== "tcp" && protocol !== "udp") || more.length > 0) {
    fail(at, "only tcp and udp are forwarded", "The form is 8080:80/udp");
  }
  return { ports, protocol };
}

/** `80`, or `80-89` as ten ports. */
function portRange(text: string, at: string, hint: string): number[] {
  const [first = "", last = first, ...more] = text.split("-");
  const from = wholeNumber(first, 1, 65535);
  const to = wholeNumber(last, 1, 65535);
  if (from === null || to === null || more.length > 0) {
    fail(at, `${JSON.stringify(text)} is no port from 1 to 65535, nor a range of them`, hint);
  }
  if (to < from) fail(at, `the range ${text} ends before it begins`, hint);
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** The options of `sbx run` for its network and for names. */
import { type OptionTable, under } from "./option.js";

const { value, values, toggle } = under("Network:");

export const networkOptions = {
  network: {
    ...values,
    alias: "net",
    // One network instead of another, not one besides it.
    overrides: true,
    completes: "network",
    defaultDescription: "auto",
    describe:
      "none, host, auto (private), pasta, slirp4netns, container:SANDBOX, ns:PATH, or NAME[:ip=…,mac=…,alias=…] of sbx network (repeatable)",
  },
  publish: {
    ...values,
    alias: "p",
    describe:
      "Forward ports of this machine: [IP:][HOST]:CONTAINER[/tcp|udp], ranges too (repeatable)",
  },
  "publish-all": {
    ...toggle,
    alias: "P",
    describe: "Forward a free port of this machine to each that is exposed",
  },
  expose: {
    ...values,
    describe: "Name a port for --publish-all: PORT[-PORT][/tcp|udp] (repeatable)",
  },
  "host-loopback": {
    ...toggle,
    describe: "Let the sandbox reach what listens on this machine's own loopback",
  },
  ip: { ...value, describe: "IPv4 address on its network of sbx network" },
  ip6: { ...value, describe: "IPv6 address on its network of sbx network" },
  "mac-address": {
    ...value,
    describe: "Hardware address on its network of sbx network, as 02:42:ac:11:00:02",
  },
  "network-alias": {
    ...values,
    describe: "Another name on its networks of sbx network (repeatable)",
  },
  dns: { ...values, describe: "Ask this name server, not the host's (repeatable)" },
  "dns-search": {
    ...values,
    describe: "Search this domain, not the host's; . for none (repeatable)",
  },
  "dns-option": {
    ...values,
    suggestions: ["ndots:", "timeout:", "attempts:", "rotate", "edns0", "trust-ad", "use-vc"],
    describe: "Set an option of resolv.conf(5), not the host's (repeatable)",
  },
  hosts: {
    ...toggle,
    defaultDescription: "true",
    describe: "Have an /etc/hosts of the sandbox's own; --no-hosts for the rootfs's",
  },
  "add-host": {
    ...values,
    describe: "Add a line to /etc/hosts, NAME:IP or NAME:host-gateway (repeatable)",
  },
} as const satisfies OptionTable;

/** The commands of `sbx network` and their options: what help, completions and parsing are made from. */
import { type FamilyTable, under } from "./option.js";

const { value, values, toggle } = under("Options:");

const ask = { force: { ...toggle, alias: "f", describe: "Do not ask" } } as const;

export const networkCommands = {
  create: {
    words: "NAME",
    describe: "Make a network on which sandboxes reach one another",
    options: {
      subnet: { ...values, describe: "Its addresses, as 10.89.0.0/24 (one of each kind)" },
      gateway: { ...values, describe: "The network's own address, inside the subnet" },
      "ip-range": { ...value, describe: "Give out only addresses of this part of the subnet" },
      ipv6: { ...toggle, describe: "Have IPv6 addresses too" },
      internal: { ...toggle, describe: "Without a way out" },
      "disable-dns": { ...toggle, describe: "Do not answer for the names of siblings" },
      label: { ...values, describe: "Note something down, KEY=VALUE (repeatable)" },
    },
  },
  ls: {
    words: "",
    describe: "List networks",
    options: {
      json: { ...toggle, describe: "Print what inspect prints" },
      quiet: { ...toggle, alias: "q", describe: "Only names" },
    },
  },
  inspect: {
    words: "NAME…",
    describe: "Show networks and the sandboxes on them, as JSON",
    options: {},
  },
  rm: {
    words: "NAME…",
    describe: "Remove networks that no sandbox is on",
    options: { force: { ...ask.force, describe: "Pass over what is absent" } },
  },
  connect: {
    words: "NETWORK SANDBOX",
    describe: "Put a running sandbox, which is on networks already, on one more",
    options: {
      ip: { ...value, describe: "Its IPv4 address there" },
      ip6: { ...value, describe: "Its IPv6 address there" },
      alias: { ...values, describe: "One more name of it there (repeatable)" },
    },
  },
  disconnect: {
    words: "NETWORK SANDBOX",
    describe: "Take a running sandbox off a network",
    options: {},
  },
  prune: { words: "", describe: "Remove all networks that no sandbox is on", options: ask },
} as const satisfies FamilyTable;

export type NetworkCommand = keyof typeof networkCommands;

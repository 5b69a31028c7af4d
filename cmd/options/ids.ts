/** The options of `sbx run` that say who the users inside are. */
import { type OptionTable, under } from "./option.js";

const { value, values, flag } = under("Ids:");

export const idOptions = {
  rootless: {
    ...flag,
    defaultDescription: "true",
    describe: "Map ids without privileges (the only way there is, for root too)",
  },
  userns: {
    ...value,
    defaultDescription: "auto",
    suggestions: ["auto", "single", "keep-id", "nomap"],
    describe: "How ids are mapped: auto, single, keep-id[:uid=U,gid=G] or nomap",
    conflicts: ["uidmap", "gidmap"],
  },
  uidmap: {
    ...values,
    describe: "Map SIZE user ids from C inside to H outside, as C:H:SIZE (repeatable)",
    conflicts: ["userns"],
  },
  gidmap: {
    ...values,
    describe: "Map SIZE group ids from C inside to H outside, as C:H:SIZE (repeatable)",
    conflicts: ["userns"],
  },
  user: {
    ...value,
    alias: "u",
    completes: "user",
    describe: "Run as name|uid[:group|gid] of the rootfs's passwd and group files",
  },
} as const satisfies OptionTable;

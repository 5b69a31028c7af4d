/** The options of `sbx run` that say which files there are, and where writes to them go. */
import { overlayKinds } from "../../spec/spec.js";
import { type OptionTable, under } from "./option.js";

const { value, values, toggle } = under("Files:");

export const fileOptions = {
  lower: {
    ...values,
    completes: "directory",
    describe: "Lay a directory over the rootfs (repeatable, topmost first)",
    conflicts: ["in-place"],
  },
  upper: {
    ...value,
    completes: "directory",
    describe: "Keep what is written in this directory; its work directory is beside it, DIR.work",
    conflicts: ["in-place", "read-only", "upper-size"],
  },
  "upper-size": {
    ...value,
    defaultDescription: "half of the memory",
    describe: "Bound throw-away writes: a number with b, k, m or g, or a percentage of memory",
    conflicts: ["in-place", "read-only", "upper"],
  },
  overlay: {
    ...value,
    choices: overlayKinds,
    defaultDescription: "the first that can be had",
    describe: "Join layers with the kernel's overlay, fuse-overlayfs, or not at all",
    conflicts: ["in-place"],
  },
  "read-only": {
    ...toggle,
    describe: "Refuse writes to the rootfs",
    conflicts: ["in-place", "upper", "upper-size"],
  },
  "in-place": {
    ...toggle,
    describe: "Write into the rootfs itself, not into a throw-away layer",
    conflicts: ["read-only", "lower", "upper", "upper-size", "overlay"],
  },
  volume: {
    ...values,
    alias: "v",
    describe: "Show a directory, file or named volume: [SOURCE:]PATH[:OPTIONS] (repeatable)",
  },
  mount: {
    ...values,
    suggestions: ["type=bind,", "type=volume,", "type=tmpfs,"],
    describe: "The same in keys: type=bind|volume|tmpfs,src=SOURCE,dst=PATH,… (repeatable)",
  },
  tmpfs: {
    ...values,
    describe: "Mount an empty file system in memory: PATH[:size=64m,mode=1777,…] (repeatable)",
  },
  device: {
    ...values,
    describe: "Show a device of this machine: HOST[:PATH][:rwm] (repeatable)",
  },
} as const satisfies OptionTable;

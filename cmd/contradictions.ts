/** Options that make no sense together, or with `--no-` before them. */
import { fail } from "../spec/error.js";
import type { OptionTable } from "./options/option.js";
import { type FlagName, type Flags, runOptions } from "./options/run.js";

export function refuseContradictions(flags: Flags): void {
  if (flags.rootless === false) {
    fail(
      "--no-rootless",
      "sbx makes every sandbox in a user namespace, run by root as well",
      "Leave it out; as root, --uidmap and --gidmap may map any ids",
    );
  }
  if (flags.interactive === false) {
    fail("--no-interactive", "stdin is always connected", "Give it nothing to read: </dev/null");
  }
  if (flags.hosts === false && flags["add-host"] !== undefined) {
    fail("--no-hosts", "cannot be given together with --add-host", "Leave one of them out");
  }
  if (flags.rm === false) {
    fail("--no-rm", "one in the background is kept, and others never are", "Leave it out");
  }
  refuseConflicts(flags, runOptions);
}

/** Fails where options are given together that exclude each other by the table. */
export function refuseConflicts(flags: Flags, table: OptionTable): void {
  for (const [name, { conflicts = [] }] of Object.entries(table)) {
    const other = conflicts.find((each) => isGiven(flags, each));
    if (isGiven(flags, name) && other !== undefined) {
      fail(`--${name}`, `cannot be given together with --${other}`, "Leave one of them out");
    }
  }
}

/** Whether an option is given, `--no-x` not counting. */
export function isGiven(flags: Flags, name: string): boolean {
  const value = flags[name as FlagName];
  return value !== undefined && value !== false;
}

/** `sbx update`: changes the limits of running sandboxes. */
import { writeSync } from "node:fs";
import { limitWrites, neededControllers } from "../cgroup/limits.js";
import { refuseLimits } from "../cgroup/refuse.js";
import { callersCgroups } from "../launch/facts/cgroup-facts.js";
import { findDisk } from "../launch/facts/disks.js";
import { readLimitFacts } from "../launch/facts/limit-facts.js";
import { requireGroup } from "../launch/life/control-group.js";
import { callersPlaces, findRunning } from "../launch/life/sandboxes.js";
import { updateLimits } from "../launch/life/update-limits.js";
import { fail, visible } from "../spec/error.js";
import { validate } from "../spec/validate.js";
import { refuseConflicts } from "./contradictions.js";
import { limitOptions } from "./options/resources.js";
import { parseWords } from "./parse.js";
import { print } from "./print.js";
import { readResources } from "./resource-flags.js";
import { tryAll } from "./targets.js";

/** `argv` is what follows `update`. Gives 0, or 1 where some of the sandboxes could not be changed. */
export async function update(argv: readonly string[]): Promise<number> {
  const { flags, words: names } = parseWords(argv, limitOptions);
  refuseConflicts(flags, limitOptions);
  const resources = readResources(flags, findDisk);
  if (resources === undefined) fail("update", "no limit is given", "See sbx update --help");
  if (names.length === 0) fail("update", "no sandbox is named", "`sbx run --name` names one");
  const facts = readLimitFacts(resources, callersCgroups(process.env));
  for (const note of refuseLimits(resources, facts)) writeSync(2, `sbx: ${visible(note)}\n`);
  return tryAll(names, async (given) => {
    const sandbox = await findRunning(callersPlaces(process.env), given);
    const { name, spec } = sandbox;
    // Limits that contradict one another, or the rest of it.
    validate({ ...spec, linux: { ...spec.linux, resources } });
    updateLimits(
      requireGroup(sandbox, "update"),
      limitWrites(resources, facts),
      neededControllers(resources, facts),
      `update ${name}`,
    );
    print(`${name}\n`);
  });
}

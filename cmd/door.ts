/** The way to the files of a sandbox, for `sbx cp` and `sbx export`. */

import { probe } from "../launch/facts/probe.js";
import { wholeSpec } from "../launch/life/kept.js";
import { callersPlaces, findView, requireRunning } from "../launch/life/sandboxes.js";
import { type Door, doorOf } from "../launch/programs/doorway.js";
import { heldSpec, whileHeld } from "../launch/programs/held.js";
import { validate } from "../spec/validate.js";
import { requestOf } from "./request.js";
import { createVolumes } from "./run.js";

/** `isAlone`: without what is mounted in it. */
export async function withDoor<T>(
  word: string,
  isAlone: boolean,
  use: (door: Door) => Promise<T>,
): Promise<T> {
  const environment = process.env;
  const view = await findView(callersPlaces(environment), word);
  const { kept, status } = view;
  if (kept === null || (status !== "created" && status !== "exited")) {
    const host = probe("/", environment);
    return use(doorOf(requireRunning(view), host, environment, isAlone));
  }
  const request = await requestOf(heldSpec(validate(await wholeSpec(kept))));
  createVolumes(request.spec);
  return whileHeld(kept, request, environment, (sandbox, own) =>
    use(doorOf(sandbox, own, environment, isAlone)),
  );
}

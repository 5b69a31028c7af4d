/** The way to the files of a sandbox, for `sbx cp` and `sbx export`. */
import { type Door, doorOf } from "../launch/doorway.js";
import { probe } from "../launch/probe.js";
import { callersPlaces, findView, requireRunning } from "../launch/sandboxes.js";

/** `isAlone`: without what is mounted in it. */
export async function withDoor<T>(
  word: string,
  isAlone: boolean,
  use: (door: Door) => Promise<T>,
): Promise<T> {
  const environment = process.env;
  const view = await findView(callersPlaces(environment), word);
  const host = probe("/", environment);
  return use(doorOf(requireRunning(view), host, environment, isAlone));
}

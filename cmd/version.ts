/** Which sbx this is. */
import { readFileSync } from "node:fs";

/** package.json lies beside dist/ and, where the sources are run, beside cmd/. */
export function version(): string {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return version;
}

/** Which sbx this is. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** package.json lies beside dist/ and, where the sources are run, beside cmd/. */
export function version(): string {
  const { version } = JSON.parse(
    readFileSync(join(import.meta.dirname, "../package.json"), "utf8"),
  );
  return version;
}

/** Where sbx itself is, for programs that start it again. */
import { join } from "node:path";

/** The launcher, beside the sources as beside the bundle. */
export const launcher = (): string => join(import.meta.dirname, "../cmd/sbx");

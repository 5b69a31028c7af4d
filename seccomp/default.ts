/** The profile that containers get by default: default.json, of which default.md tells the source and licence. */
import profile from "./default.json" with { type: "json" };

/** In moby's form, as it is written there. */
export const defaultProfile: unknown = profile;

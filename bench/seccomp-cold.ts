/** Makes the filter of the default profile, as a run does that has done nothing else: seccomp.ts bundles it. */
import { compileFilter } from "../seccomp/compile.js";
import { defaultProfile } from "../seccomp/default.js";
import { encodeFilter } from "../seccomp/instruction.js";
import { profileOf } from "../seccomp/profile.js";
import { resolveProfile } from "../seccomp/resolve.js";
import { terminalRefusals } from "../seccomp/terminal.js";
import { defaultCapabilities } from "../userns/capabilities.js";

const { ruleSet } = resolveProfile(
  profileOf(defaultProfile, (path) => path),
  {
    architecture: "x86_64",
    capabilities: defaultCapabilities,
    kernel: { major: 6, minor: 12 },
  },
);
const filter = encodeFilter(compileFilter({ ...ruleSet, refusals: terminalRefusals }));
if (filter.length === 0) throw new Error("there is no filter");

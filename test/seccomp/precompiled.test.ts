/** The filter that was compiled beforehand, against the compiler: `SBX_UPDATE_GOLDEN=1 npm test precompiled` writes it anew. */
import { readFileSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { compileFilter } from "../../seccomp/compile.js";
import { defaultProfile } from "../../seccomp/default.js";
import { encodeFilter } from "../../seccomp/instruction.js";
import { ownersFilter } from "../../seccomp/owners.js";
import { minKernel, precompiledFilter } from "../../seccomp/precompiled.js";
import { profileOf } from "../../seccomp/profile.js";
import { resolveProfile } from "../../seccomp/resolve.js";
import { terminalRefusals } from "../../seccomp/terminal.js";
import type { Architecture } from "../../spec/host.js";
import { defaultCapabilities } from "../../userns/capabilities.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp/precompiled");
const file = new URL("../../seccomp/precompiled.json", import.meta.url);

function resolved(architecture: Architecture, kernel = minKernel) {
  const profile = profileOf(defaultProfile, (path) => path);
  const circumstances = { architecture, kernel, capabilities: defaultCapabilities };
  return resolveProfile(profile, circumstances).ruleSet;
}

const compiled = (architecture: Architecture, kernel = minKernel): Uint8Array =>
  encodeFilter(compileFilter({ ...resolved(architecture, kernel), refusals: terminalRefusals }));

test("the file has what the compiler gives", () => {
  const [x86_64, aarch64] = (["x86_64", "aarch64"] as const).map((architecture) =>
    Buffer.from(compiled(architecture)).toString("base64"),
  );
  const owners = (["x86_64", "aarch64"] as const).map((architecture) => {
    const { architectures } = resolved(architecture);
    const filter = ownersFilter({ uid: 0, gid: 0 }, architectures);
    return [architectures.join(" "), Buffer.from(filter).toString("base64")];
  });
  const made = {
    capabilities: [...defaultCapabilities],
    x86_64,
    aarch64,
    owners: Object.fromEntries(owners),
  };
  if (process.env.SBX_UPDATE_GOLDEN === "1") {
    writeFileSync(file, `${JSON.stringify(made, null, 2)}\n`);
  }
  assert.equal(JSON.parse(readFileSync(file, "utf8")), made);
});

test("it is that of every kernel from there on, and of no other circumstances", () => {
  const usual = {
    architecture: "x86_64",
    kernel: minKernel,
    capabilities: defaultCapabilities,
  } as const;
  for (const kernel of [minKernel, { major: 4, minor: 19 }, { major: 6, minor: 18 }]) {
    const filter = precompiledFilter({ ...usual, kernel });
    assert.ok(filter !== null && Buffer.from(filter).equals(compiled("x86_64", kernel)));
  }
  const reversed = precompiledFilter({
    ...usual,
    capabilities: [...defaultCapabilities].reverse(),
  });
  assert.ok(reversed !== null);
  assert.is(precompiledFilter({ ...usual, kernel: { major: 4, minor: 7 } }), null);
  assert.is(precompiledFilter({ ...usual, capabilities: defaultCapabilities.slice(1) }), null);
  const more = [...defaultCapabilities.slice(1), "CAP_SYS_ADMIN"] as const;
  assert.is(precompiledFilter({ ...usual, capabilities: more }), null);
});

test.run();

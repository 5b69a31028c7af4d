/** One more command in a sandbox of the library's that runs: what `sbx exec` does. */
import { programInMemory } from "../launch/memfd.js";
import { listSandboxes } from "../launch/records.js";
import { callersRunDirectory } from "../launch/run-directory.js";
import { statusFd } from "../launch/sandbox-process.js";
import { fail } from "../spec/error.js";
import { compileIn } from "./exec.js";
import type { ExecOptions } from "./library.js";

/** A program that runs its arguments where that monitor's command runs, as an fd: `closeSync` lets go of it. */
export async function programIn(monitor: number, { cwd, env, user }: ExecOptions): Promise<number> {
  const running = await listSandboxes(callersRunDirectory(process.env));
  const sandbox = running.find((each) => each.monitor === monitor);
  if (sandbox === undefined) {
    const hint = "Otherwise see that XDG_RUNTIME_DIR is as it was when it was started";
    fail("find the sandbox", "it has ended", hint);
  }
  const flags = {
    "status-fd": `${statusFd}`,
    env: Object.keys(env ?? {}),
    ...(cwd === undefined ? {} : { workdir: cwd }),
    ...(user === undefined ? {} : { user }),
  };
  const { bytes } = await compileIn(sandbox, flags, { pipes: true }, { endsWithReader: true });
  return programInMemory(bytes);
}

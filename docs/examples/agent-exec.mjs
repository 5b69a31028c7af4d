/**
 * A tool for an agent that writes code: runs a command in the project's directory as it is now, but whatever the
 * command changes goes to a layer above it; without a network, with bounded time, processes and memory. At the
 * end it shows what would be different.
 *
 *     node docs/examples/agent-exec.mjs sh -c 'rm -rf src; echo done >NOTES'
 */
import { Sandbox } from "sbx";

const [command = "sh", ...args] = process.argv.slice(2);
const project = process.cwd();

const sandbox = await Sandbox.create({
  rootfs: "/",
  network: ["none"],
  keepChanges: true,
  ulimit: ["nproc=512", "fsize=1073741824", "as=8589934592"],
});
try {
  const child = await sandbox.spawn(command, args, {
    cwd: project,
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
    timeoutMs: 60_000,
  });
  const { code, signal, reason } = await child.exit;
  console.log(
    `-- ${reason}${code === null ? ` by ${signal}` : ` with ${code}`}; ${project} would have`,
  );
  for (const { path, change } of await sandbox.diff()) {
    if (path.startsWith(`${project}/`))
      console.log(`   ${change} ${path.slice(project.length + 1)}`);
  }
  process.exitCode = code ?? 1;
} finally {
  await sandbox.dispose();
}

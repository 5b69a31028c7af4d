/**
 * A build step that may read its sources and write its output, and nothing else: what it needs from
 * elsewhere it cannot reach, and so does not come to depend on.
 *
 *     node docs/examples/build-step.mjs SOURCES OUTPUT COMMAND…
 */
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { Sandbox } from "sbx";

const [sources, output, ...command] = process.argv.slice(2);
if (command.length === 0) throw new Error("The form is build-step.mjs SOURCES OUTPUT COMMAND…");
mkdirSync(output, { recursive: true });

const sandbox = await Sandbox.create({
  rootfs: "/",
  network: ["none"],
  volume: [`${resolve(sources)}:/src:ro`, `${resolve(output)}:/out`],
  workdir: "/src",
  env: ["OUT=/out", "SOURCE_DATE_EPOCH=0"],
});
try {
  const [program, ...args] = command;
  const child = await sandbox.spawn(program, args, {
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  });
  const { code, reason, step, why } = await child.exit;
  if (reason === "set-up failed") console.error(`${step}: ${why}`);
  process.exitCode = code ?? 1;
} finally {
  await sandbox.dispose();
}

/**
 * Launches from a running Node: `node bench/from-node.mjs ROOTFS MEGABYTES PEER...` holds so much memory, and
 * prints two lists as JSON: nanoseconds of the library's launches, and of the same by child_process.
 */
import { spawn } from "node:child_process";
import { Sandbox } from "../dist/library.js";

const rounds = 100;
const [rootfs, megabytes, path, ...words] = process.argv.slice(2);
const held = Array.from({ length: Number(megabytes) }, () => Buffer.alloc(1 << 20, 1));

const sandbox = await Sandbox.create({
  rootfs,
  ...{ userns: "single", network: ["none"], capDrop: ["ALL"], seccomp: "unconfined" },
  ...{ inPlace: true, hosts: false, securityOpt: ["unmask=ALL"] },
});
await sandbox.compile();
const stdio = { stdin: "ignore", stdout: "ignore", stderr: "inherit" };

async function ours() {
  const child = await sandbox.spawn("/bin/true", [], stdio);
  const { code, why } = await child.exit;
  if (code !== 0) throw new Error(`the library's sandbox ended with ${code}: ${why}`);
}

function theirs() {
  return new Promise((resolve, reject) => {
    const child = spawn(path, words, { stdio: ["ignore", "ignore", "inherit"] });
    child.on("error", reject);
    child.on("exit", (code) =>
      code === 0 ? resolve() : reject(new Error(`it ended with ${code}`)),
    );
  });
}

const times = [[], []];
for (let round = 0; round < rounds + 5; round += 1) {
  for (const [index, launch] of [ours, theirs].entries()) {
    const start = process.hrtime.bigint();
    await launch();
    // The first of each warm up.
    if (round >= 5) times[index].push(Number(process.hrtime.bigint() - start));
  }
}
await sandbox.dispose();
process.stdout.write(JSON.stringify(times));
if (held.length < 0) throw new Error("the memory was not held");

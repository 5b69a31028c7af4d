/**
 * A judge of programs that nobody trusts: runs each of the shell scripts named, or a hundred of its own, at the
 * same time, with input and the output that is expected, two seconds, and little memory.
 *
 *     node docs/examples/judge.mjs [SCRIPT…]
 */
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { Sandbox } from "sbx";

const input = "6 7\n";
const expected = "42\n";
const ownScripts = [
  "read a b; echo $((a * b))",
  "read a b; echo $((a + b))",
  "while :; do :; done",
  "head -c 300m /dev/zero | tail",
  "kill -SEGV $$",
];
const files = process.argv.slice(2);
const scripts =
  files.length > 0
    ? files.map((path) => readFileSync(path, "utf8"))
    : Array.from({ length: 100 }, (_, index) => ownScripts[index % ownScripts.length]);

const sandbox = await Sandbox.create({
  rootfs: "/",
  network: ["none"],
  readOnly: true,
  ulimit: ["as=67108864", "cpu=2", "core=0"],
});

async function judge(script) {
  const child = await sandbox.spawn("sh", ["-c", script], { timeoutMs: 20_000 });
  const output = text(child.stdout);
  child.stderr.resume();
  // A program may end without having read it.
  child.stdin.on("error", () => {}).end(input);
  const { code, signal, reason } = await child.exit;
  if (reason !== "exited")
    return signal === "SIGKILL" || signal === "SIGXCPU" ? "too slow" : reason;
  if (code !== 0) return `failed (${code})`;
  return (await output) === expected ? "right" : "wrong";
}

try {
  await sandbox.compile();
  const verdicts = await Promise.all(scripts.map(judge));
  const counts = new Map();
  for (const verdict of verdicts) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  for (const [verdict, count] of counts) console.log(`${count} ${verdict}`);
} finally {
  await sandbox.dispose();
}

/**
 * A small world for tests of networks: a machine of the test's own, in namespaces, and another one that is
 * the gateway of its default routes. Nothing of this machine's own network is touched or needed. Its files
 * are this machine's, in a root that belongs to the user: /world is private.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { command, patienceMs, type SbxOptions, type SbxResult, start } from "./sandbox.js";
import { childrenOf } from "./started.js";

/** The addresses of both machines. */
export const here = { ipv4: "10.88.0.1", ipv6: "fd88::1" };
export const remote = { ipv4: "10.88.0.2", ipv6: "fd88::2" };

export interface World {
  /** Words in front of a command that is to run on either machine. */
  readonly here: readonly string[];
  readonly remote: readonly string[];
  readonly end: () => Promise<void>;
}

const setUp = (ipv6: boolean, without: readonly string[]) => `
set -e
mount -t tmpfs -o mode=755 world /mnt
cd /mnt
for name in $(ls -A /); do
  if [ -L /$name ]; then cp -P /$name .; continue; fi
  [ -d /$name ] || continue
  mkdir $name
  mount --rbind /$name $name
done
mkdir -m 700 world old
pivot_root . old
umount -l old
${without.map((program) => `mount --bind /dev/null "$(command -v ${program})"`).join("\n")}
ip link set lo up
echo '0 0' >/proc/sys/net/ipv4/ping_group_range
unshare --net sleep infinity &
while [ "$(readlink /proc/$!/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do :; done
ip link add outer type veth peer name remote0 netns $!
ip link set outer up
ip address add ${here.ipv4}/24 dev outer
there() { nsenter --target $1 --net sh -c "$2"; }
there $! 'ip link set lo up; ip link set remote0 up; ip address add ${remote.ipv4}/24 dev remote0'
ip route add default via ${remote.ipv4}
${
  ipv6
    ? `ip -6 address add ${here.ipv6}/64 dev outer nodad
there $! 'ip -6 address add ${remote.ipv6}/64 dev remote0 nodad'
ip -6 route add default via ${remote.ipv6}`
    : ""
}
echo ready
wait
`;

/** Has both kinds of addresses, unless `ipv6` is false, and all of this machine's programs but those of `without`. */
export async function makeWorld({
  ipv6 = true,
  without = [],
}: {
  readonly ipv6?: boolean;
  readonly without?: readonly string[];
} = {}): Promise<World> {
  const isolate = "--user --map-root-user --net --mount --pid --fork --kill-child --mount-proc";
  const child = spawn("unshare", [...isolate.split(" "), "sh", "-c", setUp(ipv6, without)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  await Promise.race([once(child.stdout, "data"), ended]);
  const [shell = 0] = childrenOf(child.pid ?? 0);
  const [other = 0] = childrenOf(shell);
  const enter = (net: number) => [
    ...`nsenter --target ${shell} --user --mount --pid --preserve-credentials`.split(" "),
    `--net=/proc/${net}/ns/net`,
  ];
  return {
    here: enter(shell),
    remote: enter(other),
    end: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Much traffic takes long on a busy machine. */
const timeoutMs = 4 * patienceMs;
/** For `who`, where no answer must come: these seconds are waited in full. */
export const soon = "3";

/** How often traffic.mjs may send by a helper what stalls: pasta does now and then, whoever has started it. */
export const triesBy = (helper: string): string => (helper === "pasta" ? "4" : "1");

const traffic = join(import.meta.dirname, "traffic.mjs");
/** Arguments of traffic.mjs, as a command. */
export const trafficOf = (...words: readonly string[]) => [process.execPath, traffic, ...words];

/** The same inside a sandbox of the machine's own root. */
export const insideOf = (...words: readonly string[]) => [
  `--volume=${traffic}:/traffic.mjs:ro`,
  "/",
  process.execPath,
  "/traffic.mjs",
  ...words,
];

/** Such a sandbox as a command, for the first of them. */
export const sandboxOf = (...words: readonly string[]) => [
  "env",
  "XDG_RUNTIME_DIR=/world",
  command,
  "run",
  "--userns=single",
  ...words,
];

/** What `sbx run` with these words comes to in the world. */
export function sbxIn(
  { here }: World,
  words: readonly string[],
  options: SbxOptions = {},
): Promise<SbxResult> {
  return start([...here, ...sandboxOf(...words)], { timeoutMs, ...options });
}

/** What a command prints on one of the machines, without the last newline. */
export async function said(at: readonly string[], words: readonly string[]): Promise<string> {
  const { stdout, stderr } = await start([...at, ...words], { timeoutMs });
  return `${stdout}${stderr}`.trimEnd();
}

/** Starts a command that serves until the world ends, once it says that it does. */
export async function serving(words: readonly string[]): Promise<void> {
  const [file = "", ...rest] = words;
  const child = spawn(file, rest, { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  await new Promise<void>((done, reject) => {
    const giveUp = () => reject(new Error(`${words.join(" ")} does not serve: ${out}`));
    const timer = setTimeout(giveUp, timeoutMs);
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        out += chunk;
        if (!out.includes("serving\n")) return;
        clearTimeout(timer);
        done();
      });
    }
    child.on("close", giveUp);
  });
}

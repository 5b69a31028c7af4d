/**
 * A network of namespaces as the holder has it, made with ip(8): bridges in one namespace, and a
 * namespace for each sandbox with a veth pair to each of its bridges. It ends with the test process.
 */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { type SbxOptions, type SbxResult, start } from "./sandbox.js";

export interface LabBridge {
  readonly name: string;
  /** With the length of the prefix. */
  readonly gateways: readonly string[];
}

export interface LabPort {
  /** The namespace at the other end. */
  readonly sandbox: string;
  readonly bridge: string;
  readonly ip4: string | null;
  readonly ip6: string | null;
  readonly names: readonly string[];
}

export interface Lab {
  /** The words that run a command in the bridges' namespace, or in that of a sandbox. */
  command(sandbox: string | null, words: readonly string[]): string[];
  /** Runs it to its end, and gives its output; fails where it fails. */
  run(sandbox: string | null, words: readonly string[], options?: SbxOptions): Promise<string>;
  attempt(
    sandbox: string | null,
    words: readonly string[],
    options?: SbxOptions,
  ): Promise<SbxResult>;
  spawn(sandbox: string | null, words: readonly string[], options: SpawnOptions): ChildProcess;
  /** Commands of ip(8), in the bridges' namespace, or in that of a sandbox where one begins `-n SANDBOX`. */
  ip(commands: readonly string[]): Promise<void>;
  close(): void;
}

/** The commands of ip(8) that connect a sandbox. */
function plug({ sandbox, bridge, ip4, ip6, names }: LabPort, index: number): string[] {
  const device = `eth${index}`;
  const host = `veth${index}${sandbox}`;
  const alias = [ip4 ?? "-", ip6 ?? "-", ...names].join(" ");
  return [
    `link add ${host} type veth peer name ${device} netns ${sandbox}`,
    `link set ${host} master ${bridge} alias "${alias}" up`,
    ...(ip4 === null ? [] : [`-n ${sandbox} addr add ${ip4}/24 dev ${device}`]),
    ...(ip6 === null ? [] : [`-n ${sandbox} addr add ${ip6}/64 dev ${device} nodad`]),
    `-n ${sandbox} link set ${device} up`,
  ];
}

export async function openLab(
  bridges: readonly LabBridge[],
  ports: readonly LabPort[],
): Promise<Lab> {
  const script = "mount -t tmpfs tmpfs /run && mkdir /run/netns && echo up && exec cat";
  const holder = spawn("unshare", ["-Urnm", "sh", "-c", script], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  const enter = ["nsenter", "-t", `${holder.pid}`, "-U", "-m", "-n", "--preserve-credentials"];
  const lab: Lab = {
    command: (sandbox, words) => [
      ...enter,
      ...(sandbox === null ? [] : ["nsenter", `--net=/run/netns/${sandbox}`]),
      ...words,
    ],
    attempt: (sandbox, words, options) => start(lab.command(sandbox, words), options),
    async run(sandbox, words, options) {
      const { code, stdout, stderr } = await lab.attempt(sandbox, words, options);
      if (code !== 0) throw new Error(`${words.join(" ")}: ended with ${code}\n${stdout}${stderr}`);
      return stdout;
    },
    spawn(sandbox, words, options) {
      const [file = "", ...args] = lab.command(sandbox, words);
      return spawn(file, args, options);
    },
    async ip(commands) {
      // ip's batches have no -n: one for each run of commands of the same namespace.
      const batches: { sandbox: string | null; lines: string[] }[] = [];
      for (const command of commands) {
        const [, sandbox = null, line = ""] = /^(?:-n (\S+) )?(.*)$/.exec(command) ?? [];
        if (batches.at(-1)?.sandbox !== sandbox) batches.push({ sandbox, lines: [] });
        batches.at(-1)?.lines.push(line);
      }
      for (const { sandbox, lines } of batches) {
        await lab.run(sandbox, ["ip", "-batch", "-"], { input: lines.join("\n") });
      }
    },
    close: () => void holder.stdin.end(),
  };
  const sandboxes = [...new Set(ports.map(({ sandbox }) => sandbox))];
  await lab.ip([
    ...sandboxes.map((sandbox) => `netns add ${sandbox}`),
    "link set lo up",
    // Without an address of its own a bridge takes another when ports come, and is not found for a while.
    ...bridges.flatMap(({ name, gateways }, index) => [
      `link add ${name} address 02:00:00:00:00:${10 + index} type bridge`,
      `link set ${name} up`,
      ...gateways.map(
        (address) => `addr add ${address} dev ${name}${address.includes(":") ? " nodad" : ""}`,
      ),
    ]),
    ...sandboxes.map((sandbox) => `-n ${sandbox} link set lo up`),
    ...ports.flatMap((port, index) =>
      plug(port, ports.slice(0, index).filter(({ sandbox }) => sandbox === port.sandbox).length),
    ),
  ]);
  return lab;
}

/** `sbx port`: at which ports of this machine those of a running sandbox are reached. */
import type { RunningPort } from "../launch/life/sandbox.js";
import { callersPlaces, findRunning } from "../launch/life/sandboxes.js";
import { fail } from "../spec/error.js";
import { readExpose } from "./network-values.js";
import { liveCommands } from "./options/live.js";
import { parseWords } from "./parse.js";
import { print } from "./print.js";

/** `argv` is what follows `port`. In podman-port(1)'s form. */
export async function port(argv: readonly string[]): Promise<number> {
  const { flags, words } = parseWords(argv, liveCommands.port.options);
  const [name, wanted, ...more] = words;
  if (name === undefined || more.length > 0) {
    fail(["port", ...words].join(" "), "the form is sbx port NAME [PORT[/PROTOCOL]]");
  }
  const { ports = [] } = await findRunning(callersPlaces(process.env), name);
  const found = wanted === undefined ? ports : portsAt(ports, name, wanted);
  if (flags.json === true) {
    const everywhere = found.map((each) => ({ hostIp: "0.0.0.0", ...each }));
    print(`${JSON.stringify(everywhere, null, 2)}\n`);
  } else print(wanted === undefined ? allPorts(ports) : found.map(placeLine).join(""));
  return 0;
}

/** One line for each: `80/tcp -> 0.0.0.0:8080`. */
export function allPorts(ports: readonly RunningPort[]): string {
  return ports
    .map((each) => `${each.containerPort}/${each.protocol} -> ${placeLine(each)}`)
    .join("");
}

/** Those that lead to one port; fails where it is not published. */
export function portsAt(
  ports: readonly RunningPort[],
  name: string,
  wanted: string,
): readonly RunningPort[] {
  const at = `port ${name} ${wanted}`;
  const [sought, ...others] = readExpose(wanted, at);
  if (others.length > 0) fail(at, "asks for a range", "Without a port, all are told");
  const found = ports.filter(
    ({ containerPort, protocol }) =>
      containerPort === sought?.containerPort && protocol === sought.protocol,
  );
  if (found.length === 0) {
    const all = allPorts(ports).trimEnd().replaceAll("\n", ", ");
    fail(
      at,
      "the sandbox does not publish it",
      all === "" ? "It publishes none: sbx run --publish" : `It publishes ${all}`,
    );
  }
  return found;
}

const placeLine = ({ hostIp, hostPort }: RunningPort) =>
  `${hostIp?.includes(":") ? `[${hostIp}]` : (hostIp ?? "0.0.0.0")}:${hostPort}\n`;

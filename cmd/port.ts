/** `sbx port`: at which ports of this machine those of a running sandbox are reached. */
import type { RunningPort } from "../launch/records.js";
import { callersPlaces, findRunning } from "../launch/sandboxes.js";
import { fail } from "../spec/error.js";
import { readExpose } from "./network-values.js";
import { parseWords } from "./parse.js";
import { print } from "./print.js";

/** `argv` is what follows `port`. In podman-port(1)'s form. */
export async function port(argv: readonly string[]): Promise<number> {
  const [name, wanted, ...more] = parseWords(argv, {}).words;
  if (name === undefined || more.length > 0) {
    fail(["port", ...argv].join(" "), "the form is sbx port SANDBOX [PORT[/PROTOCOL]]");
  }
  const { ports = [] } = await findRunning(callersPlaces(process.env), name);
  print(wanted === undefined ? allPorts(ports) : onePort(ports, name, wanted));
  return 0;
}

/** One line for each: `80/tcp -> 0.0.0.0:8080`. */
export function allPorts(ports: readonly RunningPort[]): string {
  return ports
    .map((each) => `${each.containerPort}/${each.protocol} -> ${placeOf(each)}\n`)
    .join("");
}

/** The places at which one port is reached; fails where it is not published. */
export function onePort(ports: readonly RunningPort[], name: string, wanted: string): string {
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
  return found.map((each) => `${placeOf(each)}\n`).join("");
}

const placeOf = ({ hostIp, hostPort }: RunningPort) =>
  `${hostIp?.includes(":") ? `[${hostIp}]` : (hostIp ?? "0.0.0.0")}:${hostPort}`;

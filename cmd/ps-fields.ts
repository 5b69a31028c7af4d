/** What `sbx ps` tells of a sandbox, in docker's words. */
import { readPlain } from "../launch/life/plain-file.js";
import type { RunningPort } from "../launch/life/sandbox.js";
import type { SandboxView } from "../launch/life/sandboxes.js";
import { assertNever } from "../spec/assert-never.js";
import { visible } from "../spec/error.js";

/** The fields of templates and of JSON. */
export interface PsFields {
  readonly ID: string;
  readonly Names: string;
  readonly Rootfs: string;
  readonly Command: string;
  readonly CreatedAt: string;
  /** As `3 minutes ago`. */
  readonly RunningFor: string;
  readonly State: SandboxView["status"];
  /** As `Exited (0) 2 hours ago`. */
  readonly Status: string;
  /** Of the last run; null while it runs, and where there was none. */
  readonly ExitCode: number | null;
  /** Of its init, as the caller sees it; null where it does not run. */
  readonly Pid: number | null;
  readonly Ports: string;
  readonly Networks: readonly string[];
  readonly Labels: Readonly<Record<string, string>>;
}

/** Their names: a template is checked where there is no sandbox, too. */
export const psFieldNames = [
  ...["ID", "Names", "Rootfs", "Command", "CreatedAt", "RunningFor", "State", "Status"],
  ...["ExitCode", "Pid", "Ports", "Networks", "Labels"],
];

/** `nowMs` in milliseconds since 1970. */
export function psFields(view: SandboxView, nowMs: number): PsFields {
  const { spec, record } = view;
  return {
    ID: view.id,
    Names: view.name,
    Rootfs: visible(spec.root.path),
    Command: visible(commandOf(view).join(" ")),
    CreatedAt: new Date(view.createdMs).toISOString(),
    RunningFor: `${ageText(nowMs - view.createdMs)} ago`,
    State: view.status,
    Status: statusText(view, nowMs),
    ExitCode: view.exitCode,
    Pid: view.status === "restarting" ? null : (record?.init ?? null),
    Ports: (record?.ports ?? []).map(portText).join(", "),
    Networks: networksOf(view),
    Labels: view.labels,
  };
}

/** In the foreground the same program serves every command, whose words are its own arguments. */
export function commandOf({ spec, record, kept }: SandboxView): string[] {
  const line =
    kept === null && record !== null ? readPlain(`/proc/${record.monitor}/cmdline`) : null;
  const words = line?.text.split("\0").slice(1, -1) ?? [];
  return [...spec.sbx.entrypoint, ...(words.length > 0 ? words : spec.process.args)];
}

/** What `--network` names. */
export function networksOf({ spec }: SandboxView): string[] {
  const from = spec.sbx.network?.from;
  if (from?.mode === "networks") return from.networks.map(({ name }) => name);
  return [from?.mode === "sandbox" ? `container:${from.sandbox}` : (from?.mode ?? "none")];
}

function statusText(view: SandboxView, nowMs: number): string {
  const { status, startedMs, finishedMs, exitCode } = view;
  const up = `Up ${ageText(nowMs - (startedMs ?? nowMs))}`;
  const ended = `(${exitCode ?? 0}) ${ageText(nowMs - (finishedMs ?? nowMs))} ago`;
  switch (status) {
    case "created":
      return "Created";
    case "running":
      return up;
    case "paused":
      return `${up} (Paused)`;
    case "restarting":
      return `Restarting ${ended}`;
    case "exited":
      return `Exited ${ended}`;
    default:
      return assertNever(status);
  }
}

const portText = ({ hostIp = "0.0.0.0", hostPort, containerPort, protocol }: RunningPort) =>
  `${hostIp.includes(":") ? `[${hostIp}]` : hostIp}:${hostPort}->${containerPort}/${protocol}`;

/** How much time, in the words that docker has for it. */
export function ageText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.round(seconds / 3600);
  const days = Math.floor(hours / 24);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (days < 14) return `${days} days`;
  if (days < 60) return `${Math.floor(days / 7)} weeks`;
  if (days < 730) return `${Math.floor(days / 30)} months`;
  return `${Math.floor(days / 365)} years`;
}

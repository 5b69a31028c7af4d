/** `sbx inspect`: all that is known of sandboxes, in docker's words where it has some. */

import { namespaceIds } from "../launch/life/namespace-ids.js";
import { firstChildOf, parentOf } from "../launch/life/processes.js";
import type { RunningPort } from "../launch/life/sandbox.js";
import type { SandboxView } from "../launch/life/sandboxes.js";
import { readUpperRecord, workOf } from "../launch/store/kept-upper.js";
import { fail, SbxError } from "../spec/error.js";
import type { JoinKeys, Spec } from "../spec/spec.js";
import { liveCommands } from "./options/live.js";
import { parseWords } from "./parse.js";
import { print } from "./print.js";
import { commandOf, networksOf } from "./ps-fields.js";
import { tryViews } from "./targets.js";
import { type Fields, readTemplate, renderTemplate } from "./template.js";

/** `argv` is what follows `inspect`. Gives 0, or 1 where one of the sandboxes could not be had. */
export async function inspect(argv: readonly string[]): Promise<number> {
  const { flags, words } = parseWords(argv, liveCommands.inspect.options);
  if (words.length === 0) fail("inspect", "no sandbox is named", "The form is sbx inspect NAME…");
  const { format } = flags;
  const template =
    format === undefined || format === "json" ? null : readTemplate(format, `--format ${format}`);
  // A plan takes a look at the whole machine, which a template is to pay for only where it shows it.
  const withPlan = template === null || /\bPlan\b|\{\{json \.\}\}/.test(format ?? "");
  const found: Fields[] = [];
  const status = await tryViews(words, async (view) => {
    found.push({ ...inspected(view), ...(withPlan && (await planOf(view))) });
  });
  print(
    template === null
      ? `${JSON.stringify(found, null, 2)}\n`
      : renderTemplate(template, found, null),
  );
  return status;
}

const timeOf = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());

function inspected(view: SandboxView) {
  const { spec, record, kept } = view;
  const { sbx, linux } = spec;
  const [path = "", ...args] = commandOf(view);
  return {
    Id: view.id,
    Name: view.name,
    Created: timeOf(view.createdMs),
    Path: path,
    Args: args,
    State: stateOf(view),
    RestartCount: view.restarts,
    GraphDriver: layersOf(view),
    Rootfs: spec.root.path,
    Mounts: spec.mounts.map(({ destination, type = "bind", source = "", options = [] }) => ({
      Type: type,
      Source: source,
      Destination: destination,
      RW: !options.includes("ro"),
    })),
    Config: configOf(spec),
    HostConfig: {
      NetworkMode: networksOf(view).join(","),
      PidMode: whoseOf(spec, "pid"),
      IpcMode: whoseOf(spec, "ipc"),
      UTSMode: whoseOf(spec, "uts"),
      PortBindings: bindingsOf(sbx.network?.ports ?? []),
      RestartPolicy: {
        Name: sbx.life?.restart.name ?? "no",
        MaximumRetryCount: sbx.life?.restart.maximumRetryCount ?? 0,
      },
      AutoRemove: sbx.life?.removeAtEnd ?? true,
      ReadonlyRootfs: spec.root.readonly ?? false,
      LogConfig: sbx.life?.log ? { Type: "k8s-file", Config: sbx.life.log } : { Type: "none" },
      Resources: linux.resources ?? {},
    },
    NetworkSettings: {
      Ports: bindingsOf(record?.ports ?? []),
      Networks: Object.fromEntries(
        (record?.networks ?? []).map(({ network, interface: link, ip, ip6 }) => [
          network,
          { Interface: link, IPAddress: ip, GlobalIPv6Address: ip6 ?? "" },
        ]),
      ),
    },
    LogPath: kept !== null && sbx.life?.log ? `${kept.directory}/log` : null,
    Directory: kept?.directory ?? null,
    Monitor: record?.monitor ?? null,
    Cgroup: record?.cgroup ?? null,
    Namespaces: record === null ? null : namespaceIds(record),
    UidMappings: record?.uidMappings ?? null,
    GidMappings: record?.gidMappings ?? null,
    Spec: spec,
  };
}

/** As the options have it. */
function whoseOf({ linux, sbx: { join } }: Spec, type: JoinKeys["namespaces"][number]): string {
  if (join?.namespaces.includes(type)) return `container:${join.sandbox}`;
  return linux.namespaces.some((own) => own.type === type) ? "private" : "host";
}

function stateOf(view: SandboxView) {
  const { status, record } = view;
  const isWaiting = status === "restarting";
  return {
    Status: status,
    Running: status === "running" || status === "paused",
    Paused: status === "paused",
    Restarting: isWaiting,
    OOMKilled: view.oom,
    Pid: isWaiting ? null : (record?.init ?? null),
    ExitCode: view.exitCode,
    Error: view.error ?? "",
    StartedAt: timeOf(view.startedMs),
    FinishedAt: timeOf(view.finishedMs),
  };
}

function configOf({ process, sbx, hostname, domainname, annotations }: Spec) {
  return {
    Hostname: hostname ?? "",
    Domainname: domainname ?? "",
    User: sbx.user ?? "",
    Env: process.env,
    Entrypoint: sbx.entrypoint,
    Cmd: process.args,
    WorkingDir: process.cwd,
    Labels: annotations ?? {},
    Tty: process.terminal ?? null,
    OpenStdin: sbx.life?.stdin ?? true,
    StopSignal: sbx.life?.stopSignal ?? "TERM",
    StopTimeout: sbx.life?.stopTimeoutSeconds ?? 10,
  };
}

/** docker's and podman's names. */
const drivers = { kernel: "overlay", fuse: "fuse-overlayfs", none: "bind" } as const;

/** What it is laid over, from top to bottom, and where what it writes is; null where nobody outside can tell. */
function layersOf({ spec, record }: SandboxView) {
  const { upper = null, lowers = [], overlay } = spec.sbx;
  const used = upper === null ? null : readUpperRecord(upper);
  const kind = used?.overlay ?? overlay;
  return {
    Name: kind === undefined ? null : drivers[kind],
    Data: {
      LowerDir: (used?.lowers ?? [...lowers, spec.root.path]).join(":"),
      UpperDir: upper,
      WorkDir: upper === null ? null : `${workOf(upper)}/work`,
      MergedDir: record === null ? null : mergedDirectory(record.monitor, record.init),
    },
  };
}

/** As the command sees it; the init lets nobody look into it. */
function mergedDirectory(monitor: number, init: number): string | null {
  const command = parentOf(init) === monitor ? firstChildOf(init) : null;
  return command === null ? null : `/proc/${command}/root`;
}

function bindingsOf(ports: readonly (RunningPort | Omit<RunningPort, "hostPort">)[]) {
  const all: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const port of ports) {
    const key = `${port.containerPort}/${port.protocol}`;
    const HostPort = "hostPort" in port ? `${port.hostPort}` : "";
    all[key] = [...(all[key] ?? []), { HostIp: port.hostIp ?? "0.0.0.0", HostPort }];
  }
  return all;
}

/** The steps of the program, as it would be made now; the error where it could not be. */
async function planOf({ spec, kept }: SandboxView) {
  const { requestOf } = await import("./request.js");
  const { compileSandbox } = await import("../launch/compile.js");
  const { explainPlan } = await import("../launch/explain.js");
  const { wholeSpec } = await import("../launch/life/kept.js");
  try {
    const whole = kept === null ? spec : await wholeSpec(kept);
    const { spec: asked, host } = await requestOf(whole);
    return { Plan: explainPlan(compileSandbox(asked, host).plan).trimEnd().split("\n") };
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    return { Plan: [], PlanError: error.message };
  }
}

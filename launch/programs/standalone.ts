/** Programs that are started without sbx, perhaps on another machine: `sbx compile`. */
import { isDeepStrictEqual } from "node:util";
import { fail, SbxError } from "../../spec/error.js";
import type { Host } from "../../spec/host.js";
import { specToJson } from "../../spec/json.js";
import type { Plan, Standalone } from "../../spec/plan.js";
import type { Mapping, Spec } from "../../spec/spec.js";
import type { Action, ActionOf } from "../../spec/step.js";
import type { Compiled } from "../compile.js";
import { lower } from "../lower/lower.js";
import { compile } from "../machine/link.js";
import { plan } from "../plan.js";

/** What is told of a program besides the spec: `version` of sbx, `options` as they were given. */
export interface Origin {
  readonly version: string;
  readonly options: object;
}

/**
 * The same spec, host and origin give the same bytes. Throws an `SbxError` where the sandbox cannot be
 * had on this host, or needs what only sbx itself keeps track of.
 */
export function compileStandalone(spec: Spec, host: Host, origin: Origin): Compiled {
  refuseKept(spec, host);
  const run = { path: null, why: "a program of sbx compile is not kept track of" } as const;
  const { planned, target, uid } = planFor(spec, { ...host, run });
  const kernel = oldestKernel(spec, target, planned);
  const needs = { uid, helpers: helpersOf(planned), kernel };
  const info = describe(spec, host, origin, planned, needs);
  const program = lower({ ...planned, standalone: { ...needs, info } });
  return { plan: planned, program, bytes: compile(program, host.architecture) };
}

/** For anyone where that is possible. `target` is the host that it is planned for. */
function planFor(spec: Spec, host: Host): { planned: Plan; target: Host; uid: number | null } {
  // Root, who may map all ids, does so for itself. With one id the program is as any other user has it.
  const nobody = { ...host.user, uid: 65534, gid: 65534 };
  const isOrdinary = !host.mapsAnyId || spec.sbx.userns.mode !== "single";
  const target = isOrdinary ? host : { ...host, mapsAnyId: false, user: nobody };
  const planned = plan(spec, target);
  if (isForAnyone(planned)) return { planned, target, uid: null };
  const { uid } = host.user;
  return isOrdinary ? { planned, target, uid } : { planned: plan(spec, host), target: host, uid };
}

/** One member of the JSON object a line. */
function describe(
  spec: Spec,
  { architecture, rootfs }: Host,
  { version, options }: Origin,
  planned: Plan,
  needs: Omit<Standalone, "info">,
): string {
  const { uidMappings, gidMappings } = mapsOf(planned);
  const shown = (mappings: readonly Mapping[]) =>
    needs.uid === null ? mappings.map((mapping) => ({ ...mapping, hostID: null })) : mappings;
  const about = {
    sbx: version,
    architecture,
    ...needs,
    kernel: `${needs.kernel.major}.${needs.kernel.minor}`,
    uidMappings: shown(uidMappings),
    gidMappings: shown(gidMappings),
    options,
    spec: { ...spec, root: { ...spec.root, path: rootfs.path } },
  };
  const members = Object.entries(about).map(([name, value]) => specToJson({ [name]: value }));
  return `{\n${members.map((member) => member.slice(1, -1)).join(",\n")}\n}\n`;
}

/** Others would look for it, or it for others, by what sbx notes down on this machine. */
function refuseKept({ sbx }: Spec, { networks }: Host): void {
  const refuse = (what: string, why: string, hint: string): never =>
    fail(`compile ${what}`, why, hint);
  if (sbx.name !== undefined) {
    const why = "a program without sbx is not kept track of, and so is found by no name";
    refuse(`--name ${sbx.name}`, why, "Use sbx run, or set its host name by --hostname");
  }
  const why = "other sandboxes and their networks are known to sbx on this machine alone";
  const [joined] = sbx.join?.namespaces ?? [];
  if (joined !== undefined) {
    refuse(`--${joined}`, why, `Use sbx run, or --${joined}=private or host`);
  }
  if (networks.length > 0 || sbx.network?.from.mode === "sandbox") {
    refuse("--network", why, "Use sbx run, or --network=pasta, ns:PATH, host or none");
  }
}

type MapIds = ActionOf<"mapIds">;

function mapsOf({ steps }: Plan): MapIds {
  const action = steps.map(({ action }) => action).find(({ kind }) => kind === "mapIds");
  if (action?.kind !== "mapIds") throw new Error("the plan maps no ids");
  return action;
}

/** What only the user who compiles has: places, and a systemd. */
const own: readonly Action["kind"][] = ["makeUpperStore", "lockVolume", "startScope", "openCgroup"];

/** With one id inside, which can be anybody's, and nothing else that is one user's own. */
function isForAnyone(planned: Plan): boolean {
  const { uidMappings, gidMappings, helpers, denySetgroups } = mapsOf(planned);
  const isOne = (mappings: readonly Mapping[]) =>
    mappings.length === 1 && mappings.every(({ size }) => size === 1);
  return (
    helpers === null &&
    denySetgroups &&
    isOne(uidMappings) &&
    isOne(gidMappings) &&
    !planned.steps.some(({ action }) => own.includes(action.kind))
  );
}

function helpersOf({ steps }: Plan): string[] {
  const all = steps.flatMap(({ action }) => {
    switch (action.kind) {
      case "mapIds":
        return action.helpers === null ? [] : Object.values(action.helpers);
      case "startUplink":
      case "serveOverlay":
        return [action.program];
      default:
        return [];
    }
  });
  return [...new Set(all)];
}

/** No major version has had more minor ones; those that never were change nothing. */
const lastMinor = 20;

/** The oldest kernel for which the plan is the same; what the plan depends on changes at one version, for good. */
function oldestKernel(spec: Spec, host: Host, planned: Plan): Host["kernel"] {
  const { kernel } = host;
  const all: Host["kernel"][] = [];
  for (let major = 3; major <= kernel.major; major++) {
    const last = major === kernel.major ? kernel.minor : lastMinor;
    for (let minor = 0; minor <= last; minor++) {
      all.push({ release: `${major}.${minor}`, major, minor });
    }
  }
  // The first of those that do is between the two.
  let [differs, agrees] = [-1, all.length - 1];
  while (agrees - differs > 1) {
    const middle = Math.floor((agrees + differs) / 2);
    if (hasPlan(spec, { ...host, kernel: all[middle] ?? kernel }, planned)) agrees = middle;
    else differs = middle;
  }
  return all[agrees] ?? kernel;
}

function hasPlan(spec: Spec, host: Host, { steps }: Plan): boolean {
  try {
    return isDeepStrictEqual(plan(spec, host).steps, steps);
  } catch (error) {
    if (error instanceof SbxError) return false;
    throw error;
  }
}

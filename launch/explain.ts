/** A plan as text: who does what in which order, with the particulars of each step below it. */
import type { Server } from "../spec/actions/layers.js";
import { describe } from "../spec/describe.js";
import type { Plan } from "../spec/plan.js";
import type { Mapping } from "../spec/spec.js";
import type { Action, ActionOf } from "../spec/step.js";

/** One step a line, a heading for each phase of each role, and the notes; ends with a newline. */
export function explainPlan({ steps, notes }: Plan): string {
  const lines: string[] = [];
  let heading = "";
  for (const [number, { role, phase, action }] of steps.entries()) {
    const next = `${role}: ${phase}`;
    if (next !== heading) lines.push("", next);
    heading = next;
    lines.push(`${String(number).padStart(4)}  ${describe(action)}`);
    lines.push(...particulars(action).map((line) => `        ${line}`));
  }
  if (notes.length > 0) lines.push("", "notes", ...notes.map((note) => `   -  ${note}`));
  return `${lines.slice(1).join("\n")}\n`;
}

/** What `describe` leaves out for being too long for the line of an error. */
function particulars(action: Action): string[] {
  switch (action.kind) {
    case "mapIds":
      return [
        ...mappingLines("uid", action.uidMappings),
        ...mappingLines("gid", action.gidMappings),
        ...(action.denySetgroups ? ["setgroups deny"] : []),
      ];
    case "mount":
      return [
        [
          ...(action.destination === undefined ? [] : [`at ${action.target}`]),
          action.flags.join("|"),
          action.data,
        ]
          .filter((part) => part !== "")
          .join(" "),
      ].filter((line) => line !== "");
    case "bindSource":
      return [`at ${action.target} ${action.recursive ? "MS_BIND|MS_REC" : "MS_BIND"}`];
    case "overlay":
      return overlayLines(action);
    case "serveOverlay":
      return serverLines(action);
    case "setCapabilities":
      return (["effective", "permitted", "inheritable", "ambient"] as const).map(
        (set) => `${set} ${action.sets[set].join(" ") || "none"}`,
      );
    case "seccomp":
      return [...action.flags, ...action.permits];
    case "execve":
      return [
        `${[...action.prefix, ...action.fallback].map((word) => JSON.stringify(word)).join(" ")}, or the arguments given`,
        ...action.environment,
        ...(action.inherited.length > 0 ? [`from the caller: ${action.inherited.join(" ")}`] : []),
        ...(action.inheritAll ? ["from the caller: all else"] : []),
      ];
    default:
      return [];
  }
}

function overlayLines({ lowers, upper }: ActionOf<"overlay">): string[] {
  return [
    `lower ${lowers.join(":")}`,
    ...(upper === null
      ? []
      : [`upper ${upper.path}, work ${upper.work}${upper.volatile ? ", volatile" : ""}`]),
  ];
}

function serverLines({ lowers, hidden, upper, squash }: Server): string[] {
  return [
    ...lowers.map((path) => `lower ${path}`),
    ...(upper === null ? [] : [`upper ${upper.kind === "kept" ? upper.path : "in memory"}`]),
    ...(hidden.length === 0 ? [] : [`empty ${hidden.map(([path]) => path).join(" ")}`]),
    ...(squash ? ["all files are root's"] : []),
  ];
}

function mappingLines(kind: string, mappings: readonly Mapping[]): string[] {
  return mappings.map(
    ({ containerID, hostID, size }) =>
      `${kind} ${containerID} inside is ${hostID} outside${size === 1 ? "" : `, and so on for ${size}`}`,
  );
}

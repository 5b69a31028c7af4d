/** A plan as text: who does what in which order, with the particulars of each step below it. */
import { describe } from "../spec/describe.js";
import type { Mapping } from "../spec/spec.js";
import type { Action, Plan } from "../spec/step.js";

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
      return [[action.flags.join("|"), action.data].filter((part) => part !== "").join(" ")].filter(
        (line) => line !== "",
      );
    case "overlay":
      return [`upper ${action.upper}, work ${action.work}${action.volatile ? ", volatile" : ""}`];
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

function mappingLines(kind: string, mappings: readonly Mapping[]): string[] {
  return mappings.map(
    ({ containerID, hostID, size }) =>
      `${kind} ${containerID} inside is ${hostID} outside${size === 1 ? "" : `, and so on for ${size}`}`,
  );
}

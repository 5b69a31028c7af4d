/** What a file of a control group held before a write, and what it holds after it. Pure. */

/** The text that gives a file back what it held, after `text` has been written to it. */
export function earlierText(before: string, text: string): string {
  const lines = before.split("\n");
  const [, device, settings = ""] = /^(\d+:\d+) (.*)$/.exec(text) ?? [];
  // Nothing at all, as in cpuset.cpus, is written as an empty line.
  if (device === undefined) return lines[0] || "\n";
  const line = lines.find((each) => each.startsWith(`${device} `));
  if (line !== undefined) return line;
  // A device without limits has no line.
  const none = settings
    .split(" ")
    .map((word) => (word.includes("=") ? word.replace(/=.*/, "=max") : "default"));
  return `${device} ${none.join(" ")}`;
}

/**
 * What the kernel keeps instead of `text`, null where it is the same. Only numbers can be told: words,
 * lists and devices are taken or refused. Bytes are rounded to pages, of 64 KiB at most.
 */
export function keptInstead(file: string, text: string, after: string): string | null {
  const kept = after.replace(/^default /, "").split(/\s/)[0] ?? "";
  const lost = Number(text) - Number(kept);
  const isSame = lost >= 0 && lost < (file.startsWith("memory.") ? 65_536 : 1);
  return Number.isNaN(Number(text)) || isSame ? null : kept;
}

/** The parser of /proc/self/mountinfo. */
import type { HostMount } from "../../spec/host.js";

/**
 * The mounts in the order of the file, as proc_pid_mountinfo(5) describes its lines:
 * `36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/root rw,errors=continue`, with any
 * number of optional fields before the dash. A line of another form is passed over.
 */
export function parseMountinfo(text: string): HostMount[] {
  return text.split("\n").flatMap((line) => {
    const fields = line.split(" ");
    const dash = fields.indexOf("-", 6);
    const [mountPoint, options, type] = [fields[4], fields[5], fields[dash + 1]];
    if (dash === -1 || mountPoint === undefined || options === undefined || type === undefined)
      return [];
    return [{ mountPoint: unmangle(mountPoint), type, options: options.split(",") }];
  });
}

/** Space, tab, newline, backslash and `#` are written as three octal digits: mangle() of fs/seq_file.c. */
function unmangle(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

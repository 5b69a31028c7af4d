/** What the kernel unpacks at boot: early-userspace/buffer-format.rst of its documentation. */
import { dirname } from "node:path";

/** An archive of executable files of root's, by absolute path, and of the directories they are in. */
export function encodeCpio(files: Readonly<Record<string, Uint8Array | string>>): Buffer {
  const directories = new Set<string>();
  for (const path of Object.keys(files)) {
    for (let at = dirname(path); at !== "/"; at = dirname(at)) directories.add(at);
  }
  return Buffer.concat([
    // A directory comes before what is in it.
    ...[...directories].sort().map((path) => entry(path, 0o40755, "")),
    ...Object.entries(files).map(([path, content]) => entry(path, 0o100755, content)),
    entry("/TRAILER!!!", 0, ""),
  ]);
}

function entry(path: string, mode: number, content: Uint8Array | string): Buffer {
  const name = Buffer.from(`${path.slice(1)}\0`);
  const data = Buffer.from(content);
  // Inode (of no meaning with one link), mode, user, group, links, time, size, two devices, size of the name, checksum.
  const fields = [0, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
  return Buffer.concat([padded(Buffer.concat([Buffer.from(header), name])), padded(data)]);
}

/** With zeros up to a multiple of four. */
function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

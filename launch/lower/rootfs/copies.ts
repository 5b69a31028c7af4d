/**
 * Mounts of the sandbox that is joined: its /proc, and its shared memory. Who does not own a pid or ipc namespace
 * cannot mount what shows it. So they are cloned in the other one's mount namespace, by a process that is not
 * seen there, before there is an init; this finds them among its fds and puts them in their places.
 */
import type { ActionOf } from "../../../spec/step.js";
import { slot } from "../../machine/builder.js";
import { k, openLink } from "../../machine/constants.js";
import { actionOf, type Context } from "../context.js";
import { joinedFd } from "../joined.js";
import { visit } from "../stepper.js";
import { requireProc } from "./filesystem.js";

const fd = slot("fd");
const parent = slot("parentFd");
const copyOf = (path: string) => slot(`copyFd.${path.slice(1)}`);

/** In the monitor, the step. No link there leads the way: all of the monitor's fds are among what could be named. */
export function copyMounts(c: Context, { paths }: ActionOf<"copyMounts">): void {
  const { b } = c;
  for (const path of paths) b.set(copyOf(path), -1);
  visit(c, "visitor", () => {
    b.must("setns", [joinedFd("user"), k("CLONE_NEWUSER")]);
    b.must("setns", [joinedFd("mount"), k("CLONE_NEWNS")]);
    for (const path of paths) copyMount(c, path);
  });
  for (const place of ["user", "mount"] as const) b.must("close", [joinedFd(place)]);
}

function copyMount(c: Context, path: string): void {
  const { b } = c;
  b.must("openat", [k("AT_FDCWD"), b.text("/"), openLink, 0], fd);
  for (const name of path.slice(1).split("/")) {
    b.set(parent, fd);
    b.must("openat", [parent, b.text(name), openLink, 0], fd);
    b.must("close", [parent]);
  }
  if (path === "/proc") requireProc(c, fd);
  const how = k("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC", "AT_EMPTY_PATH");
  b.must("open_tree", [fd, b.text(""), how], copyOf(path));
  b.must("close", [fd]);
}

/** In the monitor, when the init has them. */
export function closeCopies(c: Context): void {
  for (const path of actionOf(c, "copyMounts")?.paths ?? []) c.b.must("close", [copyOf(path)]);
}

/** In the init, the step. */
export function moveMount({ b }: Context, { path, target }: ActionOf<"moveMount">): void {
  const flags = k("MOVE_MOUNT_F_EMPTY_PATH");
  const empty = b.text("");
  b.must("move_mount", [copyOf(path), empty, k("AT_FDCWD"), b.text(target), flags]);
  b.must("close", [copyOf(path)]);
}

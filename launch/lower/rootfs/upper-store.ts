/**
 * Throw-away uppers on disk, for kernels whose tmpfs cannot hold them: a directory for each sandbox, which is locked as
 * long as the monitor lives. The janitor removes it.
 */
import type { ActionOf } from "../../../spec/step.js";
import { constant, slot } from "../../machine/builder.js";
import { k, minus } from "../../machine/constants.js";
import { actionOf, type Context, octal, s, stepOf } from "../context.js";
import { compose } from "../text/text.js";
import { forEntries } from "./dirents.js";
import { directory, entries, name, treeTop } from "./tree.js";

const storeFd = slot("storeFd");
/** The directory of all stores, and one of those that was left behind, while they are locked. */
const parent = slot("storesFd");
const locked = slot("staleFd");

/** In the monitor, before the clone: `parent/PID-NANOSECONDS`, a name that no other sandbox has. */
export function nameUpperStore(c: Context, parent: string): void {
  const { b, memory } = c;
  const nanoseconds = slot("nanoseconds");
  const own = slot("ownPid");
  b.must("getpid", [], own);
  b.must("clock_gettime", [k("CLOCK_REALTIME"), memory.scratch]);
  b.load(8, nanoseconds, memory.scratch, 8);
  compose(
    c,
    [b.text(`${parent}/`), { decimal: own }, b.text("-"), { decimal: nanoseconds }],
    c.memory.storePath,
  );
}

/**
 * In the init, before any step: as the caller still, who alone may go there, and before mounts cover
 * the path. An fd of the monitor's would be of its mount namespace, from which nothing can be bound.
 */
export function openUpperStore(c: Context): void {
  if (!c.janitor) return;
  c.b.set(s.step, stepOf(c, "bindUpperStore"));
  c.b.must("openat", [k("AT_FDCWD"), c.memory.storePath, k("O_RDONLY", "O_CLOEXEC"), 0], storeFd);
}

/** In the init: the step itself. */
export function bindUpperStore({ b }: Context, target: string): void {
  const rootfs = slot("rootfsFd");
  b.must("openat", [k("AT_FDCWD"), b.text("."), k("O_RDONLY", "O_CLOEXEC"), 0], rootfs);
  b.must("fchdir", [storeFd]);
  b.must("mount", [b.text("."), b.text(target), 0, k("MS_BIND"), 0]);
  b.must("fchdir", [rootfs]);
  b.must("close", [rootfs]);
}

/**
 * The directory is locked as long as the monitor lives, which tells it from what killed ones have left
 * behind. The parent is locked meanwhile, so that no one finds it before.
 */
export function makeStore(c: Context): void {
  const { b, memory } = c;
  b.must("openat", [k("AT_FDCWD"), b.text(store(c).parent), k("O_RDONLY", "O_CLOEXEC"), 0], parent);
  b.must("flock", [parent, k("LOCK_EX")]);
  b.must("mkdirat", [k("AT_FDCWD"), memory.storePath, constant("0700", 0o700)]);
  b.must("openat", [k("AT_FDCWD"), memory.storePath, k("O_RDONLY", "O_CLOEXEC"), 0], directory);
  b.must("flock", [directory, k("LOCK_EX", "LOCK_NB")]);
  b.must("close", [parent]);
}

function store(c: Context): ActionOf<"makeUpperStore"> {
  const action = actionOf(c, "makeUpperStore");
  if (action === undefined) throw new Error("there is no upper store");
  return action;
}

/**
 * In the janitor: removes what sandboxes whose janitor was killed as well have left behind. One that
 * cannot be removed ends it, as under another id map: who can will come.
 */
export function sweep(c: Context): void {
  const { b, memory } = c;
  b.failTo("sweep.end");
  b.label("sweep.next");
  b.must("openat", [k("AT_FDCWD"), b.text(store(c).parent), k("O_RDONLY", "O_CLOEXEC"), 0], parent);
  b.must("flock", [parent, k("LOCK_EX")]);
  forEntries(c, parent, memory.entries, entries, {
    read: "sweep.read",
    next: "sweep.entry",
    done: "sweep.swept",
  });
  b.must("openat", [parent, name, k("O_RDONLY", "O_CLOEXEC"), 0], locked);
  b.attempt("flock", [locked, k("LOCK_EX", "LOCK_NB")], s.result);
  b.branch(s.result, "eq", 0, "sweep.stale");
  b.must("close", [locked]);
  b.jump("sweep.entry");
  b.label("sweep.stale");
  compose(c, [b.text(`${store(c).parent}/`), { string: name }]);
  b.must("close", [parent]);
  b.set(treeTop, memory.text);
  b.call("tree.remove");
  b.must("close", [locked]);
  b.attempt("unlinkat", [k("AT_FDCWD"), memory.text, k("AT_REMOVEDIR")], s.result);
  b.branch(s.result, "eq", minus("ENOENT"), "sweep.next");
  b.jump("sweep.end");
  b.label("sweep.swept");
  b.must("close", [parent]);
  b.label("sweep.end");
}

/** Where root inside is not the caller: the parent, which is the caller's alone, still keeps all others out. */
export function makeOpen(c: Context): void {
  const { mode } = store(c);
  if (mode === 0o700) return;
  c.b.must("fchmodat", [k("AT_FDCWD"), c.memory.storePath, octal(mode)]);
}

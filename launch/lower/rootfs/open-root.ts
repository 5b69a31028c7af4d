/**
 * The root of a running sandbox as a file descriptor, for who works on its files from outside
 * (launch/programs/doorway.ts). A child that has the same file descriptors enters for as long as that takes.
 */
import type { ActionOf } from "../../../spec/step.js";
import { slot } from "../../machine/builder.js";
import { childFlags, k } from "../../machine/constants.js";
import { type Context, s } from "../context.js";
import { closeFrom } from "../fds.js";
import { fdOf } from "../life/enter.js";
import { namespaceFiles } from "../namespaces.js";

/** As which the root is open: above all that the program itself opens. */
export const rootFd = 63;

const child = slot("enteredPid");
const status = slot("enteredStatus");

/** In the caller's process, the step. A failure comes back as the child's exit status. */
export function openRoot(c: Context, { isAlone }: ActionOf<"openRoot">): void {
  const { b, memory } = c;
  const [failed, parent, done] = [b.fresh("root"), b.fresh("root"), b.fresh("root")];
  b.must("clone", [childFlags("CLONE_FILES"), 0, 0, 0, 0], child);
  b.branch(child, "ne", 0, parent);
  b.failTo(failed);
  for (const type of ["user", "mount"] as const) {
    // Before it can be seen from inside, and again where the kernel has changed that with the rights.
    b.must("prctl", [k("PR_SET_DUMPABLE"), 0, 0, 0, 0]);
    b.must("setns", [fdOf(type), k(namespaceFiles[type][1])]);
  }
  if (isAlone) {
    const how = k("OPEN_TREE_CLONE", "O_CLOEXEC");
    b.must("open_tree", [k("AT_FDCWD"), b.text("/"), how], s.result);
  } else {
    b.must("openat", [k("AT_FDCWD"), b.text("/"), k("O_PATH", "O_CLOEXEC"), 0], s.result);
  }
  b.must("dup3", [s.result, rootFd, 0]);
  b.exit(0);
  b.label(failed);
  b.exit(s.errno);

  b.label(parent);
  b.failTo("unshare.fail");
  b.ignore("it is our child", "wait4", [child, memory.status, 0, 0]);
  b.load(4, status, memory.status);
  b.branch(status, "eq", 0, done);
  b.alu("shr", s.errno, status, 8);
  b.fail();
  b.label(done);
}

/** In the payload, the step. Whoever waits until it has executed something sees that by what it closes. */
export function awaitEnd(c: Context): void {
  const { b, memory } = c;
  const more = b.fresh("await");
  closeFrom(c, 3, 0xffffffff);
  b.label(more);
  b.must("read", [0, memory.scratch, 1], s.result);
  b.branch(s.result, "gt", 0, more);
  b.exit(0);
}

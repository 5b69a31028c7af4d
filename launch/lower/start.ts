/**
 * The first thing a program does: find its arguments, and make sure that it was started as itself.
 *
 * A rootfs may hold a command that leads back to the program that executes it, such as a link to
 * /proc/self/exe. It would run inside, where others could open /proc/PID/exe: a file of the caller's,
 * outside, from which the next sandbox is started (the pattern of CVE-2019-5736). No path inside
 * leads to that file but through such links and interpreters, so the program goes on only where the
 * path that execve(2) was given is its own file and no link to it. A sealed memfd, which has no
 * path, cannot be changed.
 */
import { at, slot } from "../machine/builder.js";
import { k } from "../machine/constants.js";
import { type Context, s } from "./context.js";
import { exitStatus } from "./text/report.js";

const stack = slot("stack");
const cursor = slot("cursor");
const key = slot("auxiliaryKey");
const path = slot("executedPath");
const fd = slot("fd");
const seals = slot("seals");
const own = slot("ownIdentity");
const named = slot("namedIdentity");

/** The stack at entry: argc, argv, NULL, envp, NULL, auxv; see the System V ABI, "Process Initialization". */
export function readArguments({ b }: Context): void {
  b.stackPointer(stack);
  b.load(8, s.argc, stack);
  b.alu("add", s.argv, stack, 8);
  b.alu("shl", s.envp, s.argc, 3);
  b.alu("add", s.envp, s.envp, s.argv);
  b.alu("add", s.envp, s.envp, 8);
}

/** getauxval(3): the path that was given to execve. */
const AT_EXECFN = 31;
/** F_SEAL_WRITE of fcntl(2). */
const F_SEAL_WRITE = 8;

/** Needs the arguments read. Ends the program with 126 where it was started by another name. */
export function refuseForeignStart(c: Context): void {
  const { b, memory } = c;
  const started = b.fresh("started");
  const refused = b.fresh("foreign");
  const found = b.fresh("auxiliary");
  const variable = b.fresh("variable");
  const auxiliary = b.fresh("auxiliary");
  b.set(cursor, s.envp);
  b.label(variable);
  b.load(8, key, cursor);
  b.alu("add", cursor, cursor, 8);
  b.branch(key, "ne", 0, variable);
  b.label(auxiliary);
  b.load(8, key, cursor);
  b.load(8, path, cursor, 8);
  b.alu("add", cursor, cursor, 16);
  b.branch(key, "eq", AT_EXECFN, found);
  b.branch(key, "ne", 0, auxiliary);
  b.jump(refused);
  b.label(found);

  // struct stat begins with st_dev and st_ino on both architectures.
  const other = at(memory.scratch, 512);
  const executable = b.text("/proc/self/exe");
  b.orElse(refused, "newfstatat", [k("AT_FDCWD"), executable, memory.scratch, 0]);
  const foreign = b.fresh("foreign");
  b.orElse(foreign, "newfstatat", [k("AT_FDCWD"), path, other, k("AT_SYMLINK_NOFOLLOW")]);
  for (const offset of [0, 8]) {
    b.load(8, own, memory.scratch, offset);
    b.load(8, named, other, offset);
    b.branch(own, "ne", named, foreign);
  }
  b.jump(started);
  b.label(foreign);
  b.orElse(refused, "openat", [k("AT_FDCWD"), executable, k("O_RDONLY", "O_CLOEXEC"), 0], fd);
  b.orElse(refused, "fcntl", [fd, k("F_GET_SEALS")], seals);
  b.ignore("it is ours", "close", [fd]);
  b.alu("and", seals, seals, F_SEAL_WRITE);
  b.branch(seals, "ne", 0, started);
  b.label(refused);
  const text =
    "sbx: start: this program was removed meanwhile, or executed through a link or as an interpreter, and ends: run it by its own path\n";
  b.ignore("there is nobody else to tell", "write", [2, b.text(text), text.length]);
  b.exit(exitStatus.cannotExecute);
  b.label(started);
}

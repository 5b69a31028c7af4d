/** Errnos in words, for messages of the program's. */
import { errnoNumbers, errnoTexts } from "../../spec/linux.js";
import { slot } from "../builder.js";
import type { Value } from "../ir.js";
import { type Context, pseudoErrno } from "./context.js";
import { found, lookup, lookupTable } from "./lookup.js";
import { append } from "./text.js";

/** The errnos that the system calls of a set-up can give; another is shown by number. */
const told: readonly string[] = [
  "EPERM",
  "ENOENT",
  "ESRCH",
  "EINTR",
  "EIO",
  "ENXIO",
  "E2BIG",
  "ENOEXEC",
  "EBADF",
  "ECHILD",
  "EAGAIN",
  "ENOMEM",
  "EACCES",
  "EFAULT",
  "EBUSY",
  "EEXIST",
  "EXDEV",
  "ENODEV",
  "ENOTDIR",
  "EISDIR",
  "EINVAL",
  "ENFILE",
  "EMFILE",
  "ENOTTY",
  "ETXTBSY",
  "EFBIG",
  "ENOSPC",
  "EROFS",
  "EMLINK",
  "EPIPE",
  "EPROTOTYPE",
  "ECONNREFUSED",
  "ERANGE",
  "ENAMETOOLONG",
  "ENOSYS",
  "ENOTEMPTY",
  "ELOOP",
  "EOVERFLOW",
  "EUSERS",
  "EOPNOTSUPP",
  "ECONNRESET",
  "EMSGSIZE",
  "EAFNOSUPPORT",
  "EADDRINUSE",
  "EADDRNOTAVAIL",
  "ENOTCONN",
  "ETIMEDOUT",
  "ECONNABORTED",
  "ESTALE",
  "EDQUOT",
  "ELIBBAD",
  "EHOSTDOWN",
];

const number = slot("toldErrno");

/** Goes on with the text that `compose` began: what the positive errno stands for. */
export function appendErrno({ b }: Context, errno: Value): void {
  b.set(number, errno);
  b.call("text.errno");
}

export function errnoSubroutine(c: Context): void {
  const { b } = c;
  const rows: (readonly [number, string])[] = [
    ...told.map((name) => [errnoNumbers[name] ?? 0, `${errnoTexts[name]} (${name})`] as const),
    [pseudoErrno.helperFailed, "the helper refused, see its message above"] as const,
    [
      pseudoErrno.noInterpreter,
      "it is there, but its interpreter or dynamic loader is not (ENOENT)",
    ] as const,
    [pseudoErrno.notProc, "no procfs is mounted there"] as const,
    [pseudoErrno.notNull, "/dev/null of this machine is not the null device (1:3)"] as const,
    [pseudoErrno.otherType, "one is a directory, the other is not"] as const,
    [pseudoErrno.serverEnded, "it ended, and with it all files of the sandbox"] as const,
    [pseudoErrno.uplinkEnded, "it ended before it was ready"] as const,
    [pseudoErrno.portRefused, "it does not forward one of the ports"] as const,
    [pseudoErrno.scopeRefused, "systemd did not start it"] as const,
    [pseudoErrno.joinedEnded, "that sandbox has ended"] as const,
    [pseudoErrno.notNetwork, "it is no network namespace"] as const,
    [pseudoErrno.nameTaken, "a sandbox of that name is running"] as const,
    [pseudoErrno.addressTaken, "another sandbox has that address"] as const,
    [pseudoErrno.networkFull, "every address is taken"] as const,
  ];
  b.comment("append what toldErrno stands for");
  b.label("text.errno");
  lookup(c, lookupTable(b, "errnos", rows), number);
  b.branch(found, "ne", 0, "text.errno.known");
  append(c, [b.text("errno "), { decimal: number }]);
  b.return();
  b.label("text.errno.known");
  append(c, [{ string: found }]);
  b.return();
}

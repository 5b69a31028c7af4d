/** The verifier's rules of control and data flow: programs that break one, beside sound ones. */
import { slot } from "../../../launch/machine/builder.js";
import { suite } from "../../support/suite.js";
import { verifying } from "../programs.js";

const test = suite("dataflow");
const { sound, broken } = verifying(test);

const a = slot("a");
const b = slot("b");
const errno = slot("errno");

sound("comments lead nowhere and need no way to them", (p) => {
  p.exit(0);
  p.comment("the end");
});
broken(
  "what nothing leads to, once for each stretch",
  (p) => {
    p.exit(0);
    p.set(a, 1);
    p.set(b, 1);
    p.comment("still");
    p.exit(a);
  },
  'op 1 "a = 1": is never reached',
  'op 4 "exit_group(a)": is never reached',
);
broken("an empty program", () => {}, "op 0: the program is empty");
broken("running off the end", (p) => p.set(a, 1), 'op 0 "a = 1": control runs off the end');
sound("execve comes back only with an error", (p) => {
  p.must("execve", [0, 0, 0]);
  p.label("fail");
  p.exit(errno);
});
broken(
  "code behind an execve whose error goes elsewhere",
  (p) => {
    p.must("execve", [0, 0, 0]);
    p.exit(0);
    p.label("fail");
    p.exit(errno);
  },
  'op 1 "exit_group(0)": is never reached',
);

sound("a slot that both ways write", (p) => {
  p.attempt("getpid", [], b);
  p.branch(b, "lt", 0, "low");
  p.set(a, 1);
  p.jump("end");
  p.label("low");
  p.set(a, 2);
  p.label("end");
  p.exit(a);
});
broken(
  "a slot that one way does not write",
  (p) => {
    p.attempt("getpid", [], b);
    p.branch(b, "lt", 0, "end");
    p.set(a, 1);
    p.label("end");
    p.exit(a);
  },
  'op 4 "exit_group(a)": reads a, which is not written on every way here',
);
broken(
  "the result of a call on the way of its error",
  (p) => {
    p.must("getpid", [], a);
    p.exit(a);
    p.label("fail");
    p.exit(a);
  },
  'op 3 "exit_group(a)": reads a, which is not written on every way here',
);
broken(
  "errno where there was no error",
  (p) => {
    p.must("getpid", []);
    p.label("fail");
    p.exit(errno);
  },
  'op 2 "exit_group(errno)": reads errno, which is not written on every way here',
);
broken(
  "every kind of read",
  (p) => {
    p.alu("add", b, a, 1);
    p.alu("add", b, 1, slot("a2"));
    p.load(8, b, slot("a3"));
    p.store(8, slot("a4"), 0, slot("a5"));
    p.branch(slot("a6"), "eq", slot("a7"), "end");
    p.label("end");
    p.set(b, slot("a8"));
    p.exit(0);
  },
  'op 0 "b = a + 1": reads a, which is not written on every way here',
  'op 1 "b = 1 + a2": reads a2, which is not written on every way here',
  'op 2 "b = int64[a3]": reads a3, which is not written on every way here',
  'op 3 "int64[a4] = a5": reads a4, which is not written on every way here',
  'op 3 "int64[a4] = a5": reads a5, which is not written on every way here',
  'op 4 "if a6 == a7 goto end": reads a6, which is not written on every way here',
  'op 4 "if a6 == a7 goto end": reads a7, which is not written on every way here',
  'op 6 "b = a8": reads a8, which is not written on every way here',
);

sound("a subroutine takes and gives values in slots", (p) => {
  p.set(a, 1);
  p.call("double");
  p.set(a, b);
  p.call("double");
  p.exit(b);
  p.label("double");
  p.alu("add", b, a, a);
  p.return();
});
broken(
  "a subroutine that reads what one of its callers did not write",
  (p) => {
    p.call("double");
    p.set(a, 1);
    p.call("double");
    p.exit(b);
    p.label("double");
    p.alu("add", b, a, a);
    p.return();
  },
  'op 5 "b = a + a": reads a, which is not written on every way here',
);
broken(
  "a subroutine that reads what the second of its callers did not write",
  (p) => {
    p.attempt("getpid", [], b);
    p.branch(b, "lt", 0, "other");
    p.set(a, 1);
    p.call("read");
    p.exit(0);
    p.label("other");
    p.call("read");
    p.exit(0);
    p.label("read");
    p.set(b, a);
    p.return();
  },
  'op 9 "b = a": reads a, which is not written on every way here',
);
broken(
  "reads before writes, told in the order of the program",
  (p) => {
    p.jump("main");
    p.label("sub");
    p.set(b, a);
    p.return();
    p.label("main");
    p.call("sub");
    p.exit(a);
  },
  'op 2 "b = a": reads a, which is not written on every way here',
  'op 6 "exit_group(a)": reads a, which is not written on every way here',
);
broken(
  "a subroutine that writes only before one of its returns",
  (p) => {
    p.set(a, 1);
    p.call("maybe");
    p.exit(b);
    p.label("maybe");
    p.branch(a, "eq", 1, "out");
    p.set(b, 1);
    p.return();
    p.label("out");
    p.return();
  },
  'op 2 "exit_group(b)": reads b, which is not written on every way here',
);
sound("what a caller's caller wrote", (p) => {
  p.set(a, 1);
  p.call("outer");
  p.exit(b);
  p.label("outer");
  p.call("inner");
  p.return();
  p.label("inner");
  p.set(b, a);
  p.return();
});
sound("a subroutine that never returns", (p) => {
  p.call("end");
  p.label("end");
  p.exit(0);
});
sound("errors of main code and subroutines share an end", (p) => {
  p.call("sub");
  p.must("getpid", []);
  p.exit(0);
  p.label("sub");
  p.must("getpid", []);
  p.return();
  p.label("fail");
  p.exit(errno);
});
broken(
  "code behind a subroutine that never returns",
  (p) => {
    p.call("end");
    p.exit(1);
    p.label("end");
    p.exit(0);
  },
  'op 1 "exit_group(1)": is never reached',
);
broken(
  "recursion by way of another",
  (p) => {
    p.call("ping");
    p.exit(0);
    p.label("ping");
    p.call("pong");
    p.return();
    p.label("pong");
    p.call("ping");
    p.return();
  },
  'op 6 "call ping": the subroutine comes to call itself',
);
broken(
  "a subroutine that jumps back into the loop it was called from",
  (p) => {
    p.label("loop");
    p.call("sub");
    p.exit(0);
    p.label("sub");
    p.jump("loop");
  },
  'op 1 "call sub": the subroutine comes to call itself',
);
broken(
  "main code that runs into a subroutine",
  (p) => {
    p.call("sub");
    p.label("sub");
    p.return();
  },
  'op 2 "return": the main code comes here, and has nowhere to return to',
);

sound("a result that the caller of the subroutine looks at", (p) => {
  p.call("try");
  p.call("other");
  p.exit(a);
  p.label("try");
  p.attempt("getpid", [], a);
  p.return();
  p.label("other");
  p.return();
});
broken(
  "a result that is overwritten, or that nobody looks at",
  (p) => {
    p.attempt("getpid", [], a);
    p.attempt("getppid", [], b);
    p.set(a, 1);
    p.exit(a);
  },
  'op 0 "a = getpid()   → result": nothing looks at the error that may be in a',
  'op 1 "b = getppid()   → result": nothing looks at the error that may be in b',
);
sound("a result that only a subroutine looks at", (p) => {
  p.attempt("getpid", [], a);
  p.call("look");
  p.exit(0);
  p.label("look");
  p.set(b, a);
  p.return();
});
broken(
  "a result that a subroutine overwrites",
  (p) => {
    p.attempt("getpid", [], a);
    p.call("over");
    p.exit(a);
    p.label("over");
    p.set(a, 1);
    p.return();
  },
  'op 0 "a = getpid()   → result": nothing looks at the error that may be in a',
);
broken(
  "a result in errno that another error overwrites",
  (p) => {
    p.attempt("getpid", [], errno);
    p.orElse("other", "getppid", []);
    p.exit(0);
    p.label("other");
    p.exit(errno);
  },
  'op 0 "errno = getpid()   → result": nothing looks at the error that may be in errno',
);

test.run();

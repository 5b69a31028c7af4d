/**
 * What `sbx events` tells of a sandbox in the background: a line in the file `events` of the run directory, whenever its
 * state changes. launch/life/events.ts reads it, and keeps it from growing.
 */
import { dirname } from "node:path";
import { slot } from "../../machine/builder.js";
import { k, noFollow } from "../../machine/constants.js";
import { actionOf, type Context, octal } from "../context.js";
import { sandboxName } from "../record/place.js";
import { append, compose, writeText } from "../text/text.js";
import { lifeOf } from "./life.js";
import { state, status } from "./state.js";

/** The subroutine `event.put`. Lines of several that write at once do not mix: each is one write(2) at the end. */
export function eventSubroutine(c: Context): void {
  const { b } = c;
  const [life, record] = [lifeOf(c), actionOf(c, "keepRecord")];
  const file = slot("eventsFd");
  b.comment("tell of the state");
  b.label("event.put");
  if (life === undefined || record === undefined) {
    b.return();
    return;
  }
  compose(c, [b.text('{"status":"'), { string: status }]);
  append(c, [b.text(`","id":"${life.id}","name":"`), { string: sandboxName }]);
  append(c, [b.text('","startedMs":'), { decimal: state.startedMs }]);
  const whole = b.fresh("event");
  b.branch(state.finishedMs, "eq", 0, whole);
  append(c, [b.text(',"finishedMs":'), { decimal: state.finishedMs }]);
  append(c, [b.text(',"exitCode":'), { decimal: state.exitCode }]);
  append(c, [b.text(',"oom":'), { decimal: state.oom }]);
  b.label(whole);
  append(c, [b.text("}\n")]);
  const path = b.text(`${dirname(record.directory)}/events`);
  const flags = noFollow("O_WRONLY", "O_CREAT", "O_APPEND", "O_NONBLOCK", "O_CLOEXEC");
  b.orElse("event.put.end", "openat", [k("AT_FDCWD"), path, flags, octal(0o600)], file);
  writeText(c, file);
  b.ignore("it is ours", "close", [file]);
  b.label("event.put.end");
  b.return();
}

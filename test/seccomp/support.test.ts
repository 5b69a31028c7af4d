import * as assert from "uvu/assert";
import { lackedAction, missingActions, parseActions } from "../../seccomp/support.js";
import type { Action } from "../../seccomp/verdict.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp/support");

test("reads the actions of Linux 6.1", () => {
  const text = "kill_process kill_thread trap errno user_notif trace log allow\n";
  assert.equal(parseActions(text), text.trim().split(" "));
  assert.equal(missingActions(parseActions(text)), []);
});

test("knows which kernel brought what is missing, oldest first", () => {
  assert.equal(missingActions(parseActions("kill trap errno trace allow kill_thread\n")), [
    { name: "kill_process", since: "4.14" },
    { name: "log", since: "4.14" },
    { name: "user_notif", since: "5.0" },
  ]);
  assert.equal(parseActions("\n"), []);
});

test("an action is there by what the kernel says, or else by its version", () => {
  const kernel = (major: number, minor: number) => ({ release: "", major, minor });
  const lacked = (action: Action, actions: string[] | null, at = kernel(4, 13)) =>
    lackedAction(action, { kernel: at, seccomp: { actions, isFiltered: false } });
  assert.is(lacked("LOG", ["log"]), null);
  assert.is(lacked("NOTIFY", ["user_notif"]), null);
  assert.is(lacked("KILL", ["kill_thread"]), null);
  assert.is(lacked("NOTIFY", ["log"]), "5.0");
  assert.is(lacked("LOG", null), "4.14");
  assert.is(lacked("LOG", null, kernel(4, 14)), null);
  assert.is(lacked("ERRNO", null), null);
});

test.run();

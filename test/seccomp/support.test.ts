import * as assert from "uvu/assert";
import { missingActions, parseActions } from "../../seccomp/support.js";
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

test.run();

import * as assert from "uvu/assert";
import { describe } from "../../spec/describe.js";
import { suite } from "../support/suite.js";

const test = suite("spec/describe");

test("tidyFds names all fds that stay", () => {
  const tidy = (preserved: number, statusFd: number | null) =>
    describe({ kind: "tidyFds", preserved, statusFd });
  assert.is(tidy(0, null), "close all file descriptors but 0 to 2");
  assert.is(tidy(2, null), "keep file descriptors 0 to 4, close all others");
  assert.is(tidy(0, 99), "keep file descriptors 0 to 2 and 99, close all others");
  assert.is(tidy(2, 5), "keep file descriptors 0 to 4 and 5, close all others");
});

test.run();

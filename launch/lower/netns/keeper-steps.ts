/** The steps of the holder's two processes: the keeper outside, the answerer in its namespaces. */
import type { Uplink } from "../../../spec/actions/uplink.js";
import type { ActionOf } from "../../../spec/step.js";
import { slot } from "../../machine/builder.js";
import { childFlags, k, signo } from "../../machine/constants.js";
import { actionOf, type Context, s, scratchSize } from "../context.js";
import { leaveCaller } from "../fds.js";
import { pseudoErrno } from "../pseudo-errno.js";
import { rename } from "../text/rename.js";
import { compose } from "../text/text.js";
import { answererChannel, lowerAnswerer } from "./answerer/answerer.js";
import { h } from "./holder.js";
import { dismissAnchor, startUplink, uplink } from "./uplink.js";

/** In the keeper, the step: namespaces for the networks, and the process that is in them. */
export function holdNetworks(c: Context): void {
  const { b, memory } = c;
  openAnswererSocket(c);
  // In the keeper, the steps that are about the init are about its child.
  b.must("clone", [childFlags("CLONE_NEWUSER", "CLONE_NEWNET"), 0, 0, 0, 0], s.initPid);
  b.branch(s.initPid, "eq", 0, "answerer");
  b.must("close", [h.inside]);
  for (const [name, fd] of [
    ["user", h.user],
    ["net", h.net],
  ] as const) {
    compose(c, [b.text("/proc/"), { decimal: s.initPid }, b.text(`/ns/${name}`)]);
    b.must("openat", [k("AT_FDCWD"), memory.text, k("O_RDONLY", "O_CLOEXEC"), 0], fd);
  }
}

export function openAnswererSocket({ b, memory }: Context): void {
  b.must("socketpair", [k("AF_UNIX"), k("SOCK_SEQPACKET", "SOCK_CLOEXEC"), 0, memory.pair]);
  b.load(4, h.outside, memory.pair);
  b.load(4, h.inside, memory.pair, 4);
}

/** 1 once the keeper has told who started it that all is well. */
export const isServing = slot("keeperIsServing");

export const sharesUplink = (c: Context): boolean => actionOf(c, "startSharedUplink") !== undefined;

/** In the keeper, the step; and again where it has ended. What it says of its failure is for the caller. */
export function startSharedUplink(c: Context, action: Uplink): void {
  const { b, memory } = c;
  const [ready, failed] = [b.fresh("uplink"), "keeper.uplinkFailed"];
  b.label("keeper.uplink");
  b.failTo(failed);
  startUplink(c, action, { user: h.user, net: h.net }, { leave: () => {}, failTo: failed });
  b.attempt("read", [uplink.ready, memory.scratch, 64], s.result);
  b.ignore("it is ours", "close", [uplink.ready]);
  b.branch(s.result, "gt", 0, ready);
  b.attempt("read", [uplink.said, memory.scratch, scratchSize], s.result);
  b.ignore("nobody may be there any more", "write", [2, memory.scratch, s.result]);
  b.set(s.errno, pseudoErrno.uplinkEnded);
  b.label(failed);
  // Its end is noticed, and it is tried again.
  b.branch(isServing, "ne", 0, "keeper.next");
  b.failTo("keeper.fail");
  b.fail();
  b.label(ready);
  b.failTo("keeper.fail");
  dismissAnchor(c);
  b.branch(isServing, "ne", 0, "keeper.next");
}

/** In the answerer, the step, which is the rest of its life. */
export function answerNames(c: Context, action: ActionOf<"answerNames">): void {
  const { b } = c;
  leaveCaller(c);
  b.jump("answerer.serve");
  b.comment("one that takes the place of another is in no namespace yet");
  b.label("answerer.again");
  b.failTo("keeper.end");
  b.must("prctl", [k("PR_SET_PDEATHSIG"), signo("SIGKILL"), 0, 0, 0]);
  b.must("setns", [h.user, k("CLONE_NEWUSER")]);
  b.must("setns", [h.net, k("CLONE_NEWNET")]);
  b.label("answerer.serve");
  rename(c, "sbx-names");
  b.set(answererChannel, h.inside);
  lowerAnswerer(c, action);
}

/**
 * Terminal injection: ioctl(2) requests by which a process types into its terminal, for the caller's
 * shell to read once the sandbox is gone. TIOCSTI pushes characters; TIOCLINUX pastes the selection of a
 * virtual console (ioctl_tty(2), ioctl_console(2), CVE-2017-5226).
 */
import { errnoNumbers } from "../spec/linux.js";
import type { Rule } from "./rules.js";
import { actions } from "./verdict.js";

/** asm-generic/ioctls.h: the same on every architecture that filters are compiled for. */
const requests = { TIOCSTI: 0x5412n, TIOCLINUX: 0x541cn };

/** The kernel takes a request as an unsigned int: what a caller has above that changes nothing. */
const requestMask = 0xffff_ffffn;

/** Refusals with EPERM, for a `RuleSet`. */
export const terminalRefusals: readonly Rule[] = Object.entries(requests).map(
  ([name, request]): Rule => ({
    names: ["ioctl"],
    verdict: actions.ERRNO | (errnoNumbers.EPERM ?? 0),
    conditions: [{ index: 1, op: "MASKED_EQ", value: requestMask, valueTwo: request }],
    at: `terminal injection (${name})`,
  }),
);

/** The steps of spec/actions/privileges.ts as ops. */
import type { PrivilegeAction } from "../../../spec/actions/privileges.js";
import { capabilityMask } from "../../../spec/capabilities.js";
import { k } from "../../machine/constants.js";
import { words32 } from "../context.js";
import { endWithMonitor } from "../handshake.js";
import { dropBounding, joinKeyring, setCapabilities } from "../payload/privileges.js";
import { loadFilter } from "../payload/seccomp.js";
import { watchOwners } from "../rootfs/owners.js";
import type { DoneElsewhere, Lowering } from "../steps.js";

export const privilegeSteps: Lowering<Exclude<PrivilegeAction, DoneElsewhere>> = {
  setIds: ({ b }, { uid, gid }) => {
    b.must("setresgid", [gid, gid, gid]);
    b.must("setresuid", [uid, uid, uid]);
  },
  setgroups: ({ b }, { gids }) =>
    b.must("setgroups", [gids.length, gids.length === 0 ? 0 : b.bytes("groups", words32(gids))]),
  dieWithMonitor: (c) => endWithMonitor(c, "SIGKILL"),
  nonDumpable: ({ b }) => b.must("prctl", [k("PR_SET_DUMPABLE"), 0, 0, 0, 0]),
  joinKeyring: (c, { mayStay }) => joinKeyring(c, mayStay),
  dropBounding: (c, { keep }) => dropBounding(c, capabilityMask(keep)),
  keepCapabilities: ({ b }) => b.must("prctl", [k("PR_SET_KEEPCAPS"), 1, 0, 0, 0]),
  setCapabilities: (c, { sets }) => setCapabilities(c, sets),
  noNewPrivileges: ({ b }) => b.must("prctl", [k("PR_SET_NO_NEW_PRIVS"), 1, 0, 0, 0]),
  watchOwners,
  seccomp: loadFilter,
};

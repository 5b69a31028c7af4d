/** Capabilities, set by set, and keys. */
import type { CapabilitySets } from "../../../spec/actions/privileges.js";
import { capabilityMask, capabilityNames } from "../../../spec/capabilities.js";
import { constant, slot } from "../../machine/builder.js";
import { k, minus } from "../../machine/constants.js";
import { type Context, failWithResult, s, words32 } from "../context.js";

const index = slot("index");
const bits = slot("bits");

/** One loop for all of them; the kernel answers EINVAL to the first number it does not know. */
export function dropBounding({ b }: Context, keep: bigint): void {
  const next = b.fresh("drop");
  const kept = b.fresh("keep");
  const end = b.fresh("dropped");
  b.set(index, 0);
  b.label(next);
  b.alu("shr", bits, constant(`0x${keep.toString(16)}`, keep), index);
  b.alu("and", bits, bits, 1);
  b.branch(bits, "ne", 0, kept);
  b.attempt("prctl", [k("PR_CAPBSET_DROP"), index, 0, 0, 0], s.result);
  b.branch(s.result, "eq", minus("EINVAL"), end);
  b.branch(s.result, "eq", 0, kept);
  failWithResult(b);
  b.label(kept);
  b.alu("add", index, index, 1);
  b.branch(index, "lt", 64, next);
  b.label(end);
}

/** capset(2) takes two structs of effective, permitted, inheritable: the low and the high 32 bits. */
export function setCapabilities({ b, memory }: Context, sets: CapabilitySets): void {
  const header = b.bytes(
    "capabilityHeader",
    words32([Number(k("_LINUX_CAPABILITY_VERSION_3").value), 0]),
  );
  const data = memory.scratch;
  const wanted = [sets.effective, sets.permitted, sets.inheritable].map(capabilityMask);
  // A kernel with fewer capabilities than we know refuses the others: only those held can be asked for.
  b.must("capget", [header, data]);
  for (const half of [0, 1]) {
    b.load(4, index, data, 12 * half + 4);
    for (const [set, mask] of wanted.entries()) {
      const part = (mask >> BigInt(32 * half)) & 0xffffffffn;
      b.alu("and", bits, index, constant(`0x${part.toString(16)}`, part));
      b.store(4, data, 12 * half + 4 * set, bits);
    }
  }
  b.must("capset", [header, data]);
  b.must("prctl", [k("PR_CAP_AMBIENT"), k("PR_CAP_AMBIENT_CLEAR_ALL"), 0, 0, 0]);
  for (const name of sets.ambient) {
    b.must("prctl", [
      k("PR_CAP_AMBIENT"),
      k("PR_CAP_AMBIENT_RAISE"),
      constant(name, capabilityNames.indexOf(name)),
      0,
      0,
    ]);
  }
}

/**
 * Without a name this gives no EPERM of its own: a seccomp filter around us does, as in a container,
 * and it holds for the payload just so. ENOSYS is a kernel without keyrings. Keyrings of sandboxes
 * that have just ended count towards the quota until the kernel gets round to freeing them: that is
 * waited for, for a second, where the caller's is not to be kept.
 */
export function joinKeyring({ b }: Context, mayStay: boolean): void {
  const again = b.fresh("keyring");
  const joined = b.fresh("keyring");
  const full = b.fresh("keyring");
  const refused = b.fresh("keyring");
  if (!mayStay) b.set(index, 0);
  b.label(again);
  b.attempt("keyctl", [k("KEYCTL_JOIN_SESSION_KEYRING"), 0, 0, 0, 0], s.result);
  b.branch(s.result, "ge", 0, joined);
  b.branch(s.result, "eq", minus("ENOSYS"), joined);
  b.branch(s.result, "eq", minus("EPERM"), joined);
  b.branch(s.result, "eq", minus("EDQUOT"), mayStay ? joined : full);
  b.label(refused);
  failWithResult(b);
  if (!mayStay) {
    b.label(full);
    b.alu("add", index, index, 1);
    b.branch(index, "gt", 100, refused);
    const pause = b.words("keyringPause", [0, 10_000_000], false);
    b.ignore("all signals are blocked, so nothing cuts it short", "nanosleep", [pause, 0]);
    b.jump(again);
  }
  b.label(joined);
}

/** Why this machine may not let the caller have a user namespace, and what mends it. */
import { dirname, join } from "node:path";
import type { Host } from "../../spec/host.js";

/** A reason with its remedy, in the fields of a `Problem`. */
export interface Blocker {
  readonly why: string;
  readonly hint: string;
  /**
   * False where only an attempt can tell: whether AppArmor has a profile for sbx's programs cannot
   * be read without root.
   */
  readonly certain: boolean;
}

/**
 * What keeps the caller from creating a user namespace with rights in it; null where nothing is
 * known to. For `check`, and to explain an EPERM or ENOSPC of clone(2).
 */
export function userNamespaceBlocker(host: Host): Blocker | null {
  const { max, unprivilegedClone, apparmorRestricted } = host.userNamespaces;
  // user_namespaces(7) and namespaces(7), "The /proc/sys/user directory": root is bound by it too.
  if (max === 0)
    return {
      why: "user namespaces are turned off (user.max_user_namespaces is 0)",
      hint: `Turn them on: ${sysctl("user.max_user_namespaces", 15000)}`,
      certain: true,
    };
  if (host.user.uid === 0) return null;
  if (unprivilegedClone === false)
    return {
      why: "user namespaces are for root only (kernel.unprivileged_userns_clone is 0)",
      hint: `Allow them to everyone: ${sysctl("kernel.unprivileged_userns_clone", 1)}`,
      certain: true,
    };
  if (apparmorRestricted === true)
    return {
      why: "AppArmor gives rights in a user namespace only to programs with a profile (kernel.apparmor_restrict_unprivileged_userns is 1)",
      hint: `Give sbx's programs one: ${installProfile(programPattern(host))}, or lift the restriction: ${sysctl("kernel.apparmor_restrict_unprivileged_userns", 0)}`,
      certain: false,
    };
  return null;
}

function sysctl(name: string, value: number): string {
  return `echo ${name}=${value} | sudo tee /etc/sysctl.d/60-sbx.conf && sudo sysctl -p /etc/sysctl.d/60-sbx.conf`;
}

/** The compiled programs are kept beside the upper store. */
function programPattern(host: Host): string {
  return join(dirname(host.upperStore), "programs", "*");
}

/** A profile that allows all it did without one, and user namespaces: apparmor.d(5), "userns". */
function installProfile(pattern: string): string {
  const profile = `abi <abi/4.0>, profile sbx "${pattern}" flags=(unconfined) { userns, }`;
  const quoted = `'${profile.replaceAll("'", "'\\''")}'`;
  return `echo ${quoted} | sudo tee /etc/apparmor.d/sbx && sudo apparmor_parser -r /etc/apparmor.d/sbx`;
}

/** The lines that mend a machine, in the words of its distribution. */

/** Package managers, by the command that installs. */
const installers = {
  apt: "sudo apt install",
  dnf: "sudo dnf install",
  apk: "sudo apk add",
  pacman: "sudo pacman -S",
  zypper: "sudo zypper install",
} as const;
export type PackageManager = keyof typeof installers;

/** By ID and ID_LIKE of os-release(5). */
const families: Readonly<Record<string, PackageManager>> = {
  debian: "apt",
  ubuntu: "apt",
  fedora: "dnf",
  rhel: "dnf",
  centos: "dnf",
  alpine: "apk",
  arch: "pacman",
  suse: "zypper",
  opensuse: "zypper",
  sles: "zypper",
};

/** Packages whose names differ: shadow's newuidmap comes apart on some. The others are equal. */
const packages: Readonly<Record<string, Readonly<Record<PackageManager, string>>>> = {
  newuidmap: {
    apt: "uidmap",
    dnf: "shadow-utils",
    apk: "shadow-uidmap",
    pacman: "shadow",
    zypper: "shadow",
  },
  pasta: { apt: "passt", dnf: "passt", apk: "passt", pacman: "passt", zypper: "passt" },
};

/** The package manager of a distribution, by the text of its os-release(5); null where unknown. */
export function packageManager(osRelease: string): PackageManager | null {
  const setting = (key: string) =>
    new RegExp(`^${key}=(["']?)(.*)\\1$`, "m").exec(osRelease)?.[2]?.split(/\s+/) ?? [];
  for (const name of [...setting("ID"), ...setting("ID_LIKE")]) {
    // openSUSE calls itself opensuse-leap and the like.
    const family = families[name] ?? families[name.split("-")[0] ?? ""];
    if (family !== undefined) return family;
  }
  return null;
}

/** How to install what brings the command. */
export function install(command: string, osRelease: string): string {
  const manager = packageManager(osRelease);
  if (manager === null) {
    const names = [...new Set(Object.values(packages[command] ?? {}))];
    const called = names.length === 0 ? "" : ` (the package may be called ${names.join(" or ")})`;
    return `install ${command} with your package manager${called}`;
  }
  return `${installers[manager]} ${packages[command]?.[manager] ?? command}`;
}

/** Sets a kernel parameter now and at every boot. */
export function sysctl(name: string, value: number): string {
  return `echo ${name}=${value} | sudo tee -a /etc/sysctl.d/60-sbx.conf && sudo sysctl -p /etc/sysctl.d/60-sbx.conf`;
}

/** Loads a module now and at every boot: modules-load.d(5). */
export function loadModule(name: string): string {
  return `sudo modprobe ${name} && echo ${name} | sudo tee /etc/modules-load.d/${name}.conf`;
}

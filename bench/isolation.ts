/** What sbx and bubblewrap are asked for where they are to isolate alike. */
import { defaultMounts, defaultNamespaces, defaultPath, defaultSpec } from "../spec/default.js";
import type { Spec } from "../spec/spec.js";

/**
 * As bubblewrap isolates: no capability, no filter of system calls, no terminal, no files of its own in
 * /etc, and of the mounts only what `--proc` and `--dev` make.
 */
export function bare(rootfs: string): Spec {
  const spec = defaultSpec(rootfs);
  const { etcFiles: _, ...sbx } = spec.sbx;
  const ofBubblewrap = ["/proc", "/dev", "/dev/pts"];
  return {
    ...spec,
    process: { ...spec.process, terminal: false },
    mounts: defaultMounts(defaultNamespaces).filter((m) => ofBubblewrap.includes(m.destination)),
    linux: { namespaces: spec.linux.namespaces },
    sbx: {
      ...sbx,
      userns: { mode: "single" },
      network: { from: { mode: "none" } },
      writes: "in-place",
      capDrop: ["ALL"],
      seccomp: "unconfined",
    },
  };
}

/**
 * The flags that make bubblewrap do what `bare` asks for. Left over: bubblewrap makes the root and
 * the devices nosuid (and the root nodev), and gives its /dev no size limit; sbx closes the caller's
 * fds, has the init not dumpable, kills the sandbox however the monitor dies and not only after its
 * own set-up, tells a failing set-up from a failing payload, and returns only when every process of
 * the sandbox is gone, while bubblewrap returns as soon as the command has ended.
 */
export function bubblewrapFlags(rootfs: string): string[] {
  const isolation = ["--unshare-all", "--uid", "0", "--gid", "0", "--cap-drop", "ALL"];
  const root = ["--bind", rootfs, "/", "--proc", "/proc", "--dev", "/dev", "--chdir", "/"];
  const set = { PATH: defaultPath, HOME: "/root", HOSTNAME: "sbx" };
  const variables = Object.entries(set).flatMap(([name, value]) => ["--setenv", name, value]);
  const session = ["--die-with-parent", "--new-session", "--hostname", "sbx", "--clearenv"];
  return [...isolation, ...root, ...session, ...variables];
}

/** The same with what the command line of sbx always mounts: flags that follow `bubblewrapFlags`. */
export const alwaysMounted = "--ro-bind /sys /sys --tmpfs /dev/shm --mqueue /dev/mqueue".split(" ");

/** What makes `sbx run` isolate as `bare` does, but for its mounts: `alwaysMounted`. */
export const asBubblewrap =
  "--in-place --cap-drop=ALL --seccomp=unconfined --security-opt=unmask=ALL --no-hosts --no-tty".split(
    " ",
  );

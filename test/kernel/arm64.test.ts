/**
 * Sandboxes on a kernel for arm64: programs that are compiled here, from facts about the guest that are
 * written down here, as another machine would have them compiled.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { specFromFlags } from "../../cmd/flags.js";
import { parseRun } from "../../cmd/parse.js";
import { compileSandbox } from "../../launch/compile.js";
import { compileStandalone } from "../../launch/programs/standalone.js";
import type { Host } from "../../spec/host.js";
import type { LifeKeys } from "../../spec/life.js";
import { etcOf, hostOf } from "../support/fixture.js";
import { runInGuest, unpack } from "../support/guest.js";
import { suite } from "../support/suite.js";

const test = suite("arm64");

const passwd = "root:x:0:0::/root:/bin/sh\nalice:x:1000:100::/home/alice:/bin/sh\n";
const guest = hostOf({
  architecture: "aarch64",
  rootfs: {
    path: "/srv/root",
    mode: 0o755,
    passwd,
    group: "root:x:0:\nusers:x:100:\n",
    etc: etcOf("absent", 0),
    directories: {},
    scratch: [],
    volatile: ["/tmp"],
  },
  etc: { ...hostOf().etc, localtime: null },
  run: { path: null, why: "nobody asks" },
});
const single: Partial<Host> = { subuids: [], subgids: [] };

interface Trial {
  /** Of `sbx run`, besides those that leave out what the guest has not. */
  readonly options?: string;
  readonly host?: Partial<Host>;
  readonly life?: LifeKeys;
  /** As `sbx compile` has it. */
  readonly isAlone?: boolean;
  /** For the guest's shell, as the user; `$sandbox` is the program. */
  readonly script: string;
  readonly expected: string;
}

const trials: Readonly<Record<string, Trial>> = {
  "one id, mapped directly": {
    host: single,
    script: "$sandbox sh -c 'id -u; echo $$; cat /proc/self/uid_map | tr -s \" \"; uname -m'",
    expected: "0\n2\n 0 1000 1\naarch64\n",
  },
  "many ids, by newuidmap and newgidmap": {
    script: `$sandbox sh -c 'touch /f; chown 5:7 /f; stat -c %u:%g /f; cat /proc/self/gid_map | tr -s " "'
      $sandbox --user 2>&1; ls .cache/sbx/uppers`,
    expected: `5:7
 0 100 1
 1 200000 65536
sbx: run --user: No such file or directory (ENOENT). It is not in the sandbox: give a path inside the rootfs, or a name that PATH there leads to
`,
  },
  "another user, without capabilities": {
    options: "--user 3:4",
    script:
      "$sandbox sh -c 'id -u; id -g; grep -E \"CapEff|CapBnd|NoNew|Seccomp:\" /proc/self/status'",
    expected:
      "3\n4\nCapEff:\t0000000000000000\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t1\nSeccomp:\t2\n",
  },
  "the default filter": {
    script: "$sandbox sh -c 'unshare -U true; mount -t tmpfs none /mnt' 2>&1",
    expected: `unshare: unshare(0x10000000): Operation not permitted
mount: permission denied (are you root?)
`,
  },
  "writes that vanish": {
    script: `for i in 1 2; do $sandbox sh -c 'ls /new; echo >/new; rm /bin/less; ls /bin/less' 2>&1; done
      ls .cache/sbx/uppers`,
    expected:
      "ls: /new: No such file or directory\nls: /bin/less: No such file or directory\n".repeat(2),
  },
  "read-only, without a layer": {
    options: "--read-only",
    script: "$sandbox sh -c 'echo >/new' 2>&1",
    expected: "sh: can't create /new: Read-only file system\n",
  },
  "a signal, forwarded; a status, passed on": {
    script: `$sandbox sh -c 'trap "echo got it; exit 7" TERM; echo ready; while :; do sleep 0.1; done' >said &
      until grep -q ready said 2>/dev/null; do sleep 0.1; done
      kill $!; wait $!; echo $?; cat said
      $sandbox sh -c 'kill -9 $$'; echo $?`,
    expected: "7\nready\ngot it\n137\n",
  },
  "the end of the monitor is that of all": {
    script: `$sandbox sleep 54321 & until pidof sleep >/dev/null; do :; done
      kill -9 $!; wait $! 2>/dev/null; while pidof sleep >/dev/null; do :; done; echo gone`,
    expected: "gone\n",
  },
  "a terminal, of its own, and the caller's as it was": {
    script: `cat >both <<'END'
$1 sh -c 'tty; stty rows 7; stty size; stty -echo'
stty -a 2>/dev/null | grep -oE '(^| )echo '
END
      setsid -c sh both $sandbox <>/dev/ttyAMA0 >&0`,
    expected: "/dev/pts/0\n7 80\n echo \n",
  },
  "the loopback": {
    script:
      "$sandbox sh -c 'nc -l -p 99 -e echo hello & until nc 127.0.0.1 99 2>/dev/null; do sleep 0.1; done'",
    expected: "hello\n",
  },
  "bound directories and variables": {
    options: "-v /srv/data:/data:ro -e A=1 -w /data --hostname other",
    script: "$sandbox sh -c 'cat file; echo $A; hostname; echo >new' 2>&1",
    expected: "some data\n1\nother\nsh: can't create new: Read-only file system\n",
  },
  "a sandbox in the background, started again, and its log": {
    host: { run: { path: "/home/alice/run", base: "/home/alice" } },
    life: {
      id: "0123456789ab",
      directory: "/home/alice/kept",
      stdin: false,
      restart: { name: "on-failure", maximumRetryCount: 2 },
      log: { maxSizeBytes: 9999, maxFiles: 1 },
      removeAtEnd: false,
    },
    script: `mkdir kept; touch kept/lock; $sandbox sh -c 'echo line; sleep 0.3; exit 3'; echo $?
      until grep -q exited kept/state.json 2>/dev/null; do sleep 0.1; done
      cut -d" " -f2- kept/log; grep -o '"exitCode":3' kept/state.json`,
    expected: `0123456789ab\n0\n${"stdout F line\n".repeat(3)}"exitCode":3\n`,
  },
  "a program of sbx compile, for whoever starts it": {
    isAlone: true,
    host: { ...single, kernel: { release: "5.14", major: 5, minor: 14 } },
    options: "--read-only",
    script: `$sandbox --sbx-info | grep -E '"(architecture|kernel|uid)"'
      $sandbox cat /proc/self/uid_map | tr -s " "`,
    expected: `"architecture":"aarch64",
"uid":null,
"kernel":"5.12",
 0 1000 1
`,
  },
  "a program of sbx compile, where nothing of what it needs is there": {
    isAlone: true,
    host: {
      user: { uid: 7, gid: 7, name: null, home: "/" },
      kernel: { release: "6.18", major: 6, minor: 18 },
      newuidmap: { path: "/opt/newuidmap", setuidRoot: true },
    },
    script: "$sandbox true 2>&1; echo $?",
    expected: `sbx: start: this program was compiled for the user with uid 7, and this is another one. Compile it as that user, or with --userns=single, which is for everybody
sbx: start: this program was compiled for Linux 6.6 and later, and this kernel is older. Compile it on a machine with this kernel
sbx: start: this program needs /opt/newuidmap, which is not there or cannot be executed. Install it at that path, or compile the program on a machine that is like this one
125
`,
  },
  "a step that fails": {
    options: "-v /no/such:/data",
    script: "$sandbox true 2>&1; echo $?",
    expected:
      "sbx: open the source /no/such: No such file or directory (ENOENT). There is no such file or directory on this machine: make it, or correct the path\n125\n",
  },
};

const newuidmap = [
  "uidmap",
  ..."libc6 libaudit1 libselinux1 libsubid4 libpcre2-8-0 libcap-ng0".split(" "),
];

/** newuidmap and newgidmap with all that they need, by their paths. */
async function idHelpers(): Promise<Record<string, Uint8Array>> {
  const directory = await unpack("aarch64", newuidmap);
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" });
  const needed = files.filter((path) =>
    /\/new[ug]idmap$|\/lib[^/]+\.so\.\d$|\/ld-linux/.test(path),
  );
  return Object.fromEntries(
    needed.map((path) => [`/${path}`, readFileSync(join(directory, path))]),
  );
}

function program({ options = "", host, life, isAlone = false }: Trial): Uint8Array {
  const given = options === "" ? [] : options.split(" ");
  const { flags, rootfs } = parseRun(["--network=none", ...given, "/srv/root"]);
  const plain = specFromFlags(flags, rootfs, [], {
    readFile: () => null,
    places: { absolute: (path) => path, volumes: "/volumes" },
    findDisk: () => ({ major: 8, minor: 0 }),
  });
  const spec = life === undefined ? plain : { ...plain, sbx: { ...plain.sbx, life } };
  const all = { ...guest, ...host };
  const origin = { version: "0", options: flags };
  return (isAlone ? compileStandalone(spec, all, origin) : compileSandbox(spec, all)).bytes;
}

const prepare = `set -e
mkdir -p /etc /home/alice /srv/data /srv/root
cd /srv/root
mkdir bin data dev etc mnt proc sys tmp
cp -a /bin/. bin
printf '${JSON.stringify(passwd).slice(1, -1)}' >/etc/passwd
echo alice:100000:65536 >/etc/subuid
echo alice:200000:65536 >/etc/subgid
echo some data >/srv/data/file
chmod u+s /usr/bin/new?idmap
chown -R 1000:100 /home/alice /srv/root
chmod 666 /dev/ttyAMA0
mkdir /dev/pts
mount -t devpts devpts /dev/pts
`;

async function runAll(): Promise<Record<string, string>> {
  const files: Record<string, Uint8Array | string> = await idHelpers();
  const names = Object.keys(trials);
  for (const [index, trial] of Object.values(trials).entries()) {
    files[`/trial/${index}`] = program(trial);
    files[`/trial/${index}.sh`] = `cd; sandbox=/trial/${index}\n${trial.script}\n`;
  }
  const init = [
    prepare,
    ...names.map((_, index) => `su alice /trial/${index}.sh || true; echo ----`),
  ];
  const output = await runInGuest({
    architecture: "aarch64",
    modules: ["overlay"],
    files,
    init: init.join("\n"),
    timeoutMs: 60_000,
  });
  const parts = output.split("----\n");
  return Object.fromEntries(names.map((name, index) => [name, parts[index] ?? ""]));
}

let outputs: ReturnType<typeof runAll> | undefined;
for (const [name, { expected }] of Object.entries(trials)) {
  test.needs("arm64 guest", name, async () => {
    // One guest for all.
    outputs ??= runAll();
    assert.is((await outputs)[name], expected);
  });
}

test.run();

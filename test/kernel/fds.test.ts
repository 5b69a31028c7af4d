/** Which file descriptors reach the payload, and what is told on the status fd. */
import { join } from "node:path";
import * as assert from "uvu/assert";
import { attempt, compileTo, inside, temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { command, start } from "../support/sandbox.js";
import { suite } from "../support/suite.js";

const test = suite("fds");
const needs = ["unprivileged", "user namespaces", "busybox"] as const;

/** Lists the fds of the shell itself: `ls` would show one of its own. */
const list = "cd /proc/self/fd; for n in *; do readlink $n >/dev/null && echo $n; done; true";

/** Runs a shell script outside, in which `run` is `sbx run` with the words that follow. */
function outside(script: string, input = "") {
  return start(
    ["sh", "-c", `run() { "${command}" run "$@"; }; R='${busyboxRootfs()}'; ${script}`],
    {
      input,
    },
  );
}

test.needs(needs, "0 to 2, and none of what the caller has left open", async () => {
  assert.is(await inside([], list), "0\n1\n2\n");
  assert.is(await inside(["--no-init"], list), "0\n1\n2\n");
  const { stdout } = await outside(`run $R sh -c '${list}' 3</etc/passwd 4>&1 9</ 200</`);
  assert.is(stdout, "0\n1\n2\n");
});

test.needs(
  [...needs, "strace"],
  "the same where close_range is refused, by an old kernel or an old filter",
  async () => {
    const path = join(temporaryDirectory("fds"), "program");
    const program = await compileTo(path, ["--userns=single", busyboxRootfs()]);
    for (const errno of ["ENOSYS", "EPERM"]) {
      const strace = `strace -f -o /dev/null -e trace=close_range -e inject=close_range:error=${errno}`;
      const script = `exec 7</ 200</; exec ${strace} ${program} sh -c '${list}'`;
      const { stdout, stderr } = await start(["bash", "-c", script]);
      assert.is(stdout, "0\n1\n2\n", `${errno}: ${stderr}`);
    }
  },
);

test.needs(needs, "--preserve-fds passes that many from 3 on", async () => {
  const { stdout } = await outside(
    `run --preserve-fds 2 $R sh -c '${list}; cat <&3; echo x >&4' 3</proc/sys/kernel/ostype 4>&1 5</`,
  );
  assert.is(stdout, "0\n1\n2\n3\n4\nLinux\nx\n");
  const missing = await outside("run --preserve-fds 2 $R true 3</ 4<&-");
  assert.is(missing.code, 125);
  assert.match(
    missing.stderr,
    /^sbx: [^\n]*Bad file descriptor \(EBADF\)\. [^\n]*--preserve-fds[^\n]*\n$/,
  );
});

test.needs(needs, "a preserved pipe closes as the payload closes it", async () => {
  const { stdout } = await outside(
    `from=$(date +%s); (exec "${command}" run --preserve-fds 1 $R sh -c 'echo told >&3; exec 3>&-; sleep 4' 3>&1 >/dev/null 2>&1) | { cat; echo $(($(date +%s) - from)); }`,
  );
  assert.match(stdout, /^told\n[0-3]\n$/);
});

test.needs(
  needs,
  "fds that the caller has closed are /dev/null, and never a file of sbx's",
  async () => {
    const look =
      'x=$(for n in 0 1 2; do readlink /proc/$$/fd/$n; done); cat; echo start; echo "$x" >&';
    const noInput = await outside(`run $R sh -c '${look}1' <&-`);
    assert.match(noInput.stdout, /^start\n\/dev\/null\n/);
    const noOutput = await outside(`run $R sh -c '${look}2' >&-`);
    assert.is(noOutput.stdout, "");
    assert.is(noOutput.stderr.split("\n")[1], "/dev/null");
    const noErrors = await outside(`run $R sh -c '${look}1' 2>&-`);
    assert.is(noErrors.stdout.split("\n")[3], "/dev/null");
    const all = await outside(`run $R sh -c 'echo x; echo y >&2; cat; exit 7' <&- >&- 2>&-`);
    assert.equal([all.code, all.stdout, all.stderr], [7, "", ""]);
  },
);

/** The JSON lines on the status fd, with the pid taken out, and the exit code. */
async function told(words: string): Promise<unknown[]> {
  const { stdout, code } = await outside(`run --status-fd 3 ${words} 3>&1 >/dev/null`);
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  return [
    ...lines.map(({ pid, ...line }) => (pid === undefined ? line : { ...line, pid: typeof pid })),
    code,
  ];
}

const pid = { event: "pid", pid: "number" };
const ready = { event: "ready" };

test.needs(needs, "--status-fd: pid, ready, exit", async () => {
  for (const init of ["", "--no-init"]) {
    const exit = { event: "exit", exitCode: 7 };
    assert.equal(await told(`${init} $R sh -c 'exit 7'`), [pid, ready, exit, 7]);
  }
  const killed = { event: "exit", signal: 9, exitCode: 137 };
  assert.equal(await told(`$R sh -c 'kill -9 $$'`), [pid, ready, killed, 137]);
});

test.needs(
  needs,
  "--status-fd: a set-up that fails, before and after the program starts",
  async () => {
    const failure = async (words: string) => {
      const lines = await told(words);
      const { event, step, why, exitCode } = lines.at(-2) as Record<string, unknown>;
      assert.is(event, "error");
      assert.is(exitCode, lines.at(-1));
      return [lines.length, `${step}`, why, exitCode];
    };
    const enoent = "No such file or directory (ENOENT)";
    const setting = "--sysctl net.ipv4.nosuch=1";
    assert.equal(await failure(`${setting} $R true`), [
      3,
      'write "1" to /proc/sys/net/ipv4/nosuch',
      enoent,
      125,
    ]);
    const [count, , why, code] = await failure("$R /nosuch");
    assert.equal([count, why, code], [3, enoent, 127]);
    assert.equal((await failure("--user nosuch $R true")).slice(0, 2), [2, "user nosuch"]);
    assert.equal((await failure("/nosuch true")).slice(0, 2), [2, "open the rootfs /nosuch"]);
  },
);

test.needs(
  needs,
  "--status-fd: the pid is that of the sandbox's PID 1, seen from outside",
  async () => {
    const { stdout } = await outside(
      `run --status-fd 3 $R sleep 1 3>&1 | { read -r line; pid=$(echo "$line" | tr -dc 0-9); grep NSpid /proc/$pid/status; }`,
    );
    assert.match(stdout, /^NSpid:\t\d+\t1\n$/);
  },
);

test.needs(needs, "--status-fd: does not reach the payload, and must be open", async () => {
  const { stdout } = await outside(`run --status-fd 5 $R sh -c '${list}' 5>/dev/null`);
  assert.is(stdout, "0\n1\n2\n");
  const closed = await outside("run --status-fd 9 $R true 9>&-");
  assert.is(closed.code, 125);
  assert.match(
    closed.stderr,
    /^sbx: [^\n]*Bad file descriptor \(EBADF\)\. [^\n]*--status-fd[^\n]*\n$/,
  );
  const clash = await attempt(["--preserve-fds=1", "--status-fd=3"], "true");
  assert.match(clash.stderr, "Use fd 4");
});

test.run();

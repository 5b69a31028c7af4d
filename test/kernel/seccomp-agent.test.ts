/** SCMP_ACT_NOTIFY: an agent outside gets the listener, and answers. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { syscallNumber } from "../../seccomp/syscalls.js";
import { attempt, refusal, temporaryDirectory } from "../support/inside.js";
import { profileFile } from "../support/profile.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp agent");
const needs = ["unprivileged", "user namespaces", "busybox", "python3"] as const;
const directory = temporaryDirectory("agent");
let agents = 0;

/**
 * Prints what it is sent, as a JSON line, then number and process of each call that it is asked about; answers mount(2) with EOPNOTSUPP, and lets the others go on.
 */
const agent = `
import array, fcntl, json, socket, struct, sys
listening = socket.socket(socket.AF_UNIX); listening.bind(sys.argv[1]); listening.listen(1)
print("listening", flush=True)
connection, _ = listening.accept()
state, rights, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(64))
fds = array.array("i", b"".join(data for _, _, data in rights))
print(json.dumps([json.loads(state), len(fds), connection.recv(1).decode()]), flush=True)
while True:
    asked = bytearray(80)
    try: fcntl.ioctl(fds[0], 0xc0502100, asked)
    except FileNotFoundError: break
    id, pid, _, number = struct.unpack_from("QIIi", asked)
    status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status"))
    print(number, pid, status["NSpid"].split()[-1], flush=True)
    answer = (-95, 0) if number == 165 else (0, 1)
    fcntl.ioctl(fds[0], 0xc0182101, struct.pack("QqiI", id, 0, *answer))
`;

/** Starts an agent, runs a script in a sandbox whose mounts and more it is asked about, ends both. */
async function asked(options: readonly string[], script: string) {
  const socket = join(directory, `agent-${++agents}`);
  const child = spawn("python3", ["-c", agent, socket], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  let said = "";
  child.stdout.on("data", (chunk) => {
    said += chunk;
  });
  await once(child.stdout, "data");
  const file = profileFile({
    listenerPath: socket,
    listenerMetadata: 'a "quoted" ü',
    flags: ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
    // All that could hand the listener on, and execve.
    syscalls: [
      {
        names: ["mount", "execve", "sendmsg", "sendto", "read", "fcntl", "exit_group"],
        action: "SCMP_ACT_NOTIFY",
      },
    ],
  });
  const result = await attempt([...options, "--seccomp", file], script);
  await ended;
  const [, state = "", ...questions] = said.trimEnd().split("\n");
  const [sent, fds, rest] = JSON.parse(state);
  return { result, sent, fds, rest, questions: questions.map((line) => line.split(" ")) };
}

for (const options of [[], ["--no-init"], ["--pid=host"], ["--pid=host", "--no-init"]]) {
  test.needs(
    needs,
    `an agent gets the listener and answers${options.map((option) => `, ${option}`).join("")}`,
    async () => {
      const script = "mount -t tmpfs x /mnt; ls /proc/self/fd | wc -l; echo $$";
      const { result, sent, fds, rest, questions } = await asked(options, script);
      assert.match(result.stderr, /^mount: .*Operation not supported\n$/);
      // 0 to 2, and the directory itself.
      const [openFiles, pid] = result.stdout.trimEnd().split("\n");
      assert.is(openFiles, "4");
      assert.is(fds, 1);
      assert.is(rest, "");
      const { pid: told } = sent;
      assert.equal(sent, {
        ociVersion: "1.2.0",
        fds: ["seccompFd"],
        pid: told,
        metadata: 'a "quoted" ü',
        state: {
          ociVersion: "1.2.0",
          id: `sbx-${told}`,
          status: "creating",
          pid: told,
          bundle: busyboxRootfs(),
        },
      });
      // The first question is the payload's own execve.
      assert.equal(questions[0], [`${syscallNumber("x86_64", "execve")}`, `${told}`, pid]);
    },
  );
}

test.needs(needs, "a listener that nobody takes is an error before the command", async () => {
  const socket = join(directory, "nobody");
  const file = (listenerPath?: string) =>
    profileFile({
      listenerPath,
      syscalls: [{ names: ["mount"], action: "SCMP_ACT_NOTIFY" }],
    });
  // One that nobody listens on, and one of another type.
  const bind = `import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1] + "-stream")
datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); datagrams.bind(sys.argv[1] + "-dgram")
print("bound", flush=True); sys.stdin.read()`;
  const bound = spawn("python3", ["-c", bind, socket], { stdio: ["pipe", "pipe", "inherit"] });
  await once(bound.stdout, "data");
  const cases: [string | undefined, RegExp][] = [
    [undefined, /listenerPath: is missing/],
    ["relative", /listenerPath: must be an absolute path/],
    [`/${"x".repeat(108)}`, /listenerPath: is longer than the 107 bytes/],
    [socket, /^sbx: hand the listener .*\(ENOENT\)\. Start the seccomp agent/],
    [`${socket}-stream`, /\(ECONNREFUSED\)\. Start the seccomp agent/],
    [`${socket}-dgram`, /\(EPROTOTYPE\)\. .*stream socket/],
  ];
  for (const [path, expected] of cases) {
    for (const init of ["--init", "--no-init"]) {
      const words = [busyboxRootfs(), "echo", "ran"];
      const { code, line } = await refusal([init, "--seccomp", file(path)], words);
      assert.is(code, 125);
      assert.match(line, expected);
    }
  }
  bound.stdin.end();
});
test.run();

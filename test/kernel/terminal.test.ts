/** The payload's terminal, as someone sees it who types at one. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs, debianRootfs } from "../support/rootfs.js";
import { command, processesNaming } from "../support/sandbox.js";
import { suite } from "../support/suite.js";
import { openTerminal, type Terminal } from "../support/terminal.js";

const test = suite("terminal");
const plain = ["unprivileged", "user namespaces", "busybox", "tmux"] as const;
const debian = [...plain, "subids", "debian", "bash"] as const;
const directory = temporaryDirectory("terminal");

/** An interactive shell of the caller's, with `sbx` in it and the rootfs in $R. */
async function shell(rootfs: string, act: (terminal: Terminal) => Promise<void>): Promise<void> {
  fs.writeFileSync(join(directory, "bashrc"), "PS1='outer> '\nPROMPT_COMMAND=\nHISTFILE=\n");
  const terminal = await openTerminal("bash --noprofile --rcfile bashrc -i", {
    cwd: directory,
    env: { R: rootfs, sbx: command },
  });
  try {
    await terminal.waitFor("outer>");
    await act(terminal);
  } finally {
    await terminal.close();
  }
}

const busybox = (act: (terminal: Terminal) => Promise<void>) => shell(busyboxRootfs(), act);

/** How often a text is on the screen. */
const count = (screen: string, text: string) => screen.split(text).length - 1;

test.needs(plain, "is a pty of the sandbox's own, on all three fds", async () => {
  await busybox(async (terminal) => {
    await terminal.enter(
      `$sbx run $R sh -c 'tty; for n in 0 1 2; do readlink /proc/$$/fd/$n; done; ls /dev/pts; stat -c %t:%T%F /dev/console; cat </dev/null >/dev/tty && echo ok'; echo "end $?"`,
    );
    const screen = await terminal.waitFor(/end \d/);
    const lines = screen.split("\n").map((line) => line.trim());
    assert.is(lines.filter((line) => line === "/dev/pts/0").length, 4, screen);
    assert.match(screen, /0\s+ptmx\n[0-9a-f]+:0character special file\nok\nend 0/);
  });
});

test.needs(debian, "bash -i has job control: ^C, ^Z, fg, bg, jobs, ^D", async () => {
  await shell(await debianRootfs(), async (terminal) => {
    await terminal.enter("$sbx run --hostname box $R bash --norc -i; echo end $?");
    const start = await terminal.waitFor("bash-5");
    assert.not.match(start, /no job control|cannot set terminal/);
    await terminal.enter("sleep 100");
    await terminal.press("C-c");
    await terminal.enter("echo code $?");
    await terminal.waitFor("code 130");
    await terminal.enter("sleep 100");
    await new Promise((done) => setTimeout(done, 200));
    await terminal.press("C-z");
    await terminal.waitFor(/\[1\]\+ +Stopped +sleep 100/);
    await terminal.enter("bg");
    await terminal.waitFor("sleep 100 &");
    await terminal.enter("jobs");
    await terminal.waitFor(/\[1\]\+ +Running +sleep 100 &/);
    await terminal.enter("fg");
    await new Promise((done) => setTimeout(done, 200));
    await terminal.press("C-c");
    await terminal.enter("echo again $?");
    await terminal.waitFor("again 130");
    await terminal.enter("(exit 7)");
    await terminal.press("C-d");
    await terminal.waitFor("end 7");
  });
});

test.needs(plain, "has the size of the caller's window, and follows it", async () => {
  await busybox(async (terminal) => {
    await terminal.enter(
      "$sbx run $R sh -c 'stty size; trap \"stty size; exit\" WINCH; while :; do sleep 0.05; done'; stty size",
    );
    await terminal.waitFor("30 100");
    await terminal.resize(71, 23);
    await terminal.waitFor(/23 71\n23 71/);
  });
});

test.needs(plain, "^C ends a command, ^\\ too, ^D ends its input", async () => {
  await busybox(async (terminal) => {
    for (const [key, code] of [
      ["C-c", 130],
      ["C-\\", 131],
    ] as const) {
      // No shell: busybox's handles SIGQUIT.
      await terminal.enter(
        `$sbx run --ulimit core=0 $R sed 's/^/rea/' /etc/hostname -; echo "end $?"`,
      );
      await terminal.waitFor("reabusybox");
      await terminal.press(key);
      await terminal.waitFor(`end ${code}`);
      await terminal.enter("clear");
    }
    // An end of input that is typed before raw mode is a NUL after it: termios(3).
    await terminal.enter(`$sbx run $R sh -c 'echo re''ady; cat'; echo "end $?"`);
    await terminal.waitFor("ready");
    await terminal.enter("some text");
    await terminal.press("C-d");
    const screen = await terminal.waitFor("end 0");
    assert.is(count(screen, "some text"), 2, screen);
  });
});

test.needs(
  plain,
  "^Z stops the whole of it, as any job of the caller's shell; fg goes on",
  async () => {
    await busybox(async (terminal) => {
      await terminal.enter(
        `$sbx run $R sh -c 'echo re''ady; read x; echo "got $x"; sleep 100'; echo "end $?"`,
      );
      await terminal.waitFor("ready");
      await terminal.press("C-z");
      await terminal.waitFor(/\[1\]\+ +Stopped/);
      await terminal.enter("echo calc $((6 * 7))");
      await terminal.waitFor("calc 42");
      await terminal.enter("fg");
      await terminal.enter("a line");
      await terminal.waitFor("got a line");
      await terminal.press("C-z");
      await terminal.waitFor(/Stopped[^]*Stopped/);
      await terminal.enter("fg");
      await new Promise((done) => setTimeout(done, 200));
      await terminal.press("C-c");
      // bash gives a stopped command up, and does not run what comes after it.
      await terminal.enter('echo "end $?"');
      await terminal.waitFor("end 130");
    });
  },
);

test.needs(plain, "^Z of a program that has set the terminal to its own mode", async () => {
  await busybox(async (terminal) => {
    await terminal.enter("$sbx run $R vi /etc/passwd");
    await terminal.waitFor("nobody:x:65534");
    await terminal.press("C-z");
    await terminal.waitFor(/Stopped/);
    await terminal.enter("stty -a | grep -o ' icanon' && echo sane");
    await terminal.waitFor("sane");
    await terminal.enter("fg");
    await terminal.waitFor("nobody:x:65534");
    await terminal.type(":q!");
    await terminal.press("Enter");
    await terminal.enter("echo vi ended $?");
    await terminal.waitFor("vi ended 0");
  });
});

test.needs(
  plain,
  "a stopped sandbox in a pipeline, whose terminal is the caller's stdin",
  async () => {
    await busybox(async (terminal) => {
      await terminal.enter("$sbx run $R sh -c 'echo re''ady; sleep 0.6; echo do''ne' | cat");
      await terminal.waitFor("ready");
      await terminal.press("C-z");
      await terminal.waitFor(/\[1\]\+ +Stopped/);
      await new Promise((done) => setTimeout(done, 900));
      assert.not.match(await terminal.screen(), "done");
      await terminal.enter("fg");
      await terminal.waitFor("done");
      await terminal.enter("$sbx run $R sleep 100 | cat");
      await new Promise((done) => setTimeout(done, 400));
      await terminal.press("C-c");
      await terminal.enter('echo "end ${PIPESTATUS[0]}"');
      await terminal.waitFor("end 130");
    });
  },
);

test.needs(plain, "the caller's modes come back on every way out", async () => {
  const own = join(directory, "modes");
  for (const [name, run] of [
    ["exit", "$sbx run $R true"],
    ["a command that fails", "$sbx run $R nosuch"],
    ["a set-up that fails", "$sbx run -w /nosuch $R true"],
    ["modes set inside", "$sbx run $R stty raw -echo"],
    ["SIGKILL of the payload", "$sbx run $R sh -c 'kill -9 $$'"],
    ["SIGTERM", "($sbx run $R sleep 100 & sleep 0.5; kill $!; wait $!)"],
    ["SIGTERM in front", "sh -c '(sleep 0.5; kill $$) & exec \"$sbx\" run $R sleep 100'"],
    ["SIGHUP", "sh -c '(sleep 0.5; kill -HUP $$) & exec \"$sbx\" run $R sleep 100'"],
  ] as const) {
    await busybox(async (terminal) => {
      await terminal.enter(`stty -g >${own}.1; ${run} 2>/dev/null; stty -g >${own}.2; echo en''d`);
      await terminal.waitFor(/^end/m);
      assert.is(fs.readFileSync(`${own}.2`, "utf8"), fs.readFileSync(`${own}.1`, "utf8"), name);
    });
  }
});

test.needs(debian, "the payload's terminal has the modes of the caller's", async () => {
  await shell(await debianRootfs(), async (terminal) => {
    const [outside, inside] = [join(directory, "outside"), join(directory, "inside")];
    await terminal.enter(
      `stty intr ^T -echoe; stty -a >${outside}; $sbx run --preserve-fds 1 $R sh -c 'stty -a >&3' 3>${inside}; echo en''d`,
    );
    await terminal.waitFor(/^end/m);
    const modes = (path: string) => fs.readFileSync(path, "utf8");
    assert.match(modes(outside), "intr = ^T");
    assert.is(modes(inside), modes(outside));
  });
});

test.needs(plain, "pipes stay pipes", async () => {
  await busybox(async (terminal) => {
    const look = "for n in 0 1 2; do [ -t $n ] && printf t || printf p; done";
    await terminal.enter(`$sbx run $R sh -c '${look}' | sed 's/^/a=/;s/$/./'`);
    await terminal.waitFor("a=tpt.");
    await terminal.enter(`echo | $sbx run $R sh -c 'printf b=; ${look}; echo .'`);
    await terminal.waitFor("b=ptt.");
    await terminal.enter(`$sbx run $R sh -c 'printf c=; ${look}; echo .' 2>/dev/null`);
    await terminal.waitFor("c=ttp.");
    await terminal.enter("echo x y | $sbx run $R cat | tr x z");
    await terminal.waitFor("z y");
    await terminal.enter(
      `$sbx run --no-tty $R sh -c 'printf d=; ${look}; tty; ls /dev/pts | tr -d "\\n"'; echo`,
    );
    await terminal.waitFor(/d=ttt.*\nptmx/);
    await terminal.enter(`echo | $sbx run --tty $R sh -c 'printf e=; ${look}; tty' | cat`);
    await terminal.waitFor(/e=ttt\/dev\/pts\/0/);
  });
});

test.needs(plain, "much output, and input of every kind, pass the relay unharmed", async () => {
  await busybox(async (terminal) => {
    await terminal.enter(
      "$sbx run $R sh -c 'seq 1 50000 | cksum; seq 1 50000' | (read -r s; cksum; echo $s) ; seq 1 50000 | cksum",
    );
    await terminal.enter("$sbx run $R seq 1 50000 >/dev/tty; echo en''d");
    const screen = await terminal.waitFor(/49999\n50000\n[^]*end/, 20_000);
    assert.match(screen, "49990\n49991\n");
    await terminal.enter(
      "clear; $sbx run $R sh -c 'stty raw -echo; echo re''ady; dd bs=1 count=8 2>/dev/null | od -An -tx1'",
    );
    await terminal.waitFor("ready");
    await terminal.press("C-c", "C-z", "C-d", "C-s", "C-q", "Escape");
    await terminal.type("ü");
    await terminal.waitFor("03 1a 04 13 11 1b c3 bc");
  });
});

test.needs(debian, "nothing can be typed into the caller's terminal (TIOCSTI)", async () => {
  const script = join(directory, "push.pl");
  // TIOCSTI, directly and after every way to make the caller's terminal the controlling one.
  fs.writeFileSync(
    script,
    `use POSIX; $| = 1;
     sub push_into { my ($fh) = @_; for my $c (split //, "echo OWN" . "ED\\n") { ioctl($fh, 0x5412, $c) or return $! + 0 } "pushed" }
     my @seen;
     for my $fd (0, 1, 2) {
       next unless -t ($fd == 0 ? STDIN : $fd == 1 ? STDOUT : STDERR);
       open my $fh, "+<&=", $fd;
       push @seen, push_into($fh);
       if (!fork) {
         my ($again, $tty); POSIX::setsid(); ioctl($fh, 0x540e, 0); my $direct = push_into($fh);
         my $opened = open($again, "+<", "/proc/self/fd/$fd") ? push_into($again) : "closed";
         my $dev = open($tty, "+<", "/dev/tty") ? push_into($tty) : "none";
         syswrite STDERR, "child$fd=$direct,$opened,$dev;"; POSIX::_exit(0);
       }
       wait;
     }
     syswrite STDERR, "parent=" . join(",", @seen) . ";\\n";`,
  );
  const rootfs = await debianRootfs();
  // EPERM 1: not its controlling terminal. EIO 5: the kernel has it switched off (Linux 6.2).
  const refused = /^(?:child\d=[15],(?:[15]|closed),none;)+parent=[15](?:,[15])*;$/m;
  for (const run of [
    '$sbx run --no-tty $R perl -e "$P"',
    '$sbx run $R perl -e "$P" | cat',
    'true | $sbx run $R perl -e "$P"',
    'true | $sbx run --no-init $R perl -e "$P" | cat',
    'true | $sbx run --cap-add ALL $R perl -e "$P" | cat',
  ]) {
    await shell(rootfs, async (terminal) => {
      await terminal.enter(`P=$(cat ${script}); clear`);
      await terminal.enter(`${run}; echo en''d`);
      const screen = await terminal.waitFor(/^end/m);
      assert.match(screen, refused);
      await terminal.enter("echo after");
      assert.not.match(await terminal.waitFor("\nafter"), "OWNED");
    });
  }
  // With a terminal of its own it can type into that one, where it reads it itself.
  await shell(rootfs, async (terminal) => {
    await terminal.enter(`P=$(cat ${script}); clear`);
    await terminal.enter("$sbx run $R perl -e \"$P\"; echo en''d");
    await terminal.waitFor(/^end/m);
    await terminal.enter("echo after");
    assert.not.match(await terminal.waitFor("\nafter"), /^OWNED/m);
  });
});

test.needs(plain, "a terminal that goes away takes the sandbox along", async () => {
  const marker = `77${process.pid}.5`;
  await busybox(async (terminal) => {
    await terminal.enter(`$sbx run $R sh -c "setsid sleep ${marker} & sleep ${marker}"`);
    const deadline = performance.now() + 5000;
    while (processesNaming(`sleep ${marker}`).length < 3 && performance.now() < deadline) {
      await new Promise((done) => setTimeout(done, 20));
    }
    assert.ok(processesNaming(`sleep ${marker}`).length >= 3);
  });
  const deadline = performance.now() + 5000;
  while (processesNaming(marker).length > 0 && performance.now() < deadline) {
    await new Promise((done) => setTimeout(done, 20));
  }
  assert.equal(processesNaming(marker), []);
});

test.needs(plain, "in the background it writes, and stops when it reads", async () => {
  await busybox(async (terminal) => {
    await terminal.enter("$sbx run $R sh -c 'sleep 0.3; echo from be''hind' &");
    await terminal.waitFor("from behind");
    await terminal.enter("wait; clear");
    await terminal.enter("$sbx run $R sh -c 'read x; echo \"got $x\"' &");
    await new Promise((done) => setTimeout(done, 500));
    await terminal.enter("echo in front");
    await terminal.waitFor("\nin front");
    await terminal.enter("fg");
    await terminal.enter("for it");
    await terminal.waitFor("got for it");
  });
});

test.run();

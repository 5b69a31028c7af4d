/** The payload's terminal, as someone sees it who types at one. */
import * as fs from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { temporaryDirectory } from "../support/inside.js";
import { outerShell } from "../support/outer-shell.js";
import { busyboxRootfs, debianRootfs } from "../support/rootfs.js";
import { suite } from "../support/suite.js";
import type { Terminal } from "../support/terminal.js";

const test = suite("terminal");
const plain = ["unprivileged", "user namespaces", "busybox", "tmux"] as const;
const debian = [...plain, "subids", "debian", "bash"] as const;
const directory = temporaryDirectory("terminal");

const busybox = (act: (terminal: Terminal) => Promise<void>) => outerShell(busyboxRootfs(), act);

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

test.needs(plain, "has the size of the caller's window, and follows it", async () => {
  await busybox(async (terminal) => {
    await terminal.enter(
      "$sbx run $R sh -c 'trap \"stty size; exit\" WINCH; stty size; while :; do sleep 0.05; done'; stty size",
    );
    await terminal.waitFor("30 100");
    await terminal.resize(71, 23);
    await terminal.waitFor(/23 71\n23 71/);
  });
});

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
  await outerShell(await debianRootfs(), async (terminal) => {
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
    const screen = await terminal.waitFor(/49999\n50000\n[\s\S]*end/, 30_000);
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
  // The filter refuses it by itself: that the rest does is seen without it.
  for (const run of [
    '$sbx run --no-tty $R perl -e "$P"',
    '$sbx run --no-tty $U $R perl -e "$P"',
    '$sbx run $U $R perl -e "$P" | cat',
    'true | $sbx run $U $R perl -e "$P"',
    'true | $sbx run --no-init $U $R perl -e "$P" | cat',
    'true | $sbx run --cap-add ALL $U $R perl -e "$P" | cat',
  ]) {
    await outerShell(rootfs, async (terminal) => {
      await terminal.enter(`P=$(cat ${script}); U=--seccomp=unconfined; clear`);
      await terminal.enter(`${run}; echo en''d`);
      const screen = await terminal.waitFor(/^end/m);
      assert.match(screen, refused);
      await terminal.enter("echo after");
      assert.not.match(await terminal.waitFor("\nafter"), "OWNED");
    });
  }
  // With a terminal of its own it can type into that one, where it reads it itself.
  await outerShell(rootfs, async (terminal) => {
    await terminal.enter(`P=$(cat ${script}); clear`);
    await terminal.enter("$sbx run --seccomp=unconfined $R perl -e \"$P\"; echo en''d");
    await terminal.waitFor(/^end/m);
    await terminal.enter("echo after");
    assert.not.match(await terminal.waitFor("\nafter"), /^OWNED/m);
  });
});

test.run();

/** Job control, inside a sandbox and around one: ^C, ^Z, fg, bg, hang-ups. */
import * as assert from "uvu/assert";
import { outerShell } from "../support/outer-shell.js";
import { busyboxRootfs, debianRootfs } from "../support/rootfs.js";
import { processesNaming } from "../support/sandbox.js";
import { suite } from "../support/suite.js";
import type { Terminal } from "../support/terminal.js";
import { leftNaming } from "../support/until.js";

const test = suite("job control");
const plain = ["unprivileged", "user namespaces", "busybox", "tmux"] as const;
const debian = [...plain, "subids", "debian", "bash"] as const;
const busybox = (act: (terminal: Terminal) => Promise<void>) => outerShell(busyboxRootfs(), act);

/** A job is in the foreground some time after it was asked for: a key before that is for the shell. */
const settle = () => new Promise((done) => setTimeout(done, 700));

/** How often a text is on the screen. */
const count = (screen: string, text: string) => screen.split(text).length - 1;

test.needs(debian, "bash -i has job control: ^C, ^Z, fg, bg, jobs, ^D", async () => {
  await outerShell(await debianRootfs(), async (terminal) => {
    await terminal.enter("$sbx run --hostname box $R bash --norc -i; echo end $?");
    const start = await terminal.waitFor("bash-5");
    assert.not.match(start, /no job control|cannot set terminal/);
    await terminal.enter("sleep 100");
    await settle();
    await terminal.press("C-c");
    await terminal.waitFor(/\^C\s+bash-5\S+$/);
    await terminal.enter("echo code $?");
    await terminal.waitFor("code 130");
    await terminal.enter("sleep 100");
    await settle();
    await terminal.press("C-z");
    await terminal.waitFor(/\[1\]\+ +Stopped +sleep 100/);
    await terminal.enter("bg");
    await terminal.waitFor("sleep 100 &");
    await terminal.enter("jobs");
    await terminal.waitFor(/\[1\]\+ +Running +sleep 100 &/);
    await terminal.enter("fg");
    await settle();
    await terminal.press("C-c");
    await terminal.waitFor(/\^C\s+bash-5\S+$/);
    await terminal.enter("echo again $?");
    await terminal.waitFor("again 130");
    await terminal.enter("(exit 7)");
    // An end of input that is typed before bash reads on is a NUL to it: termios(3).
    await terminal.waitFor(/\(exit 7\)\s+bash-5\S+$/);
    await terminal.press("C-d");
    await terminal.waitFor("end 7");
  });
});

test.needs(plain, "^C ends a command, ^\\ too, ^D ends its input", async () => {
  await busybox(async (terminal) => {
    for (const [key, code] of [
      ["C-c", 130],
      ["C-\\", 131],
    ] as const) {
      // No shell: busybox's handles SIGQUIT.
      await terminal.enter(`$sbx run --ulimit core=0 $R cat /etc/issue -; echo "end $?"`);
      await terminal.waitFor("busybox");
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
      await terminal.waitFor(/Stopped[\s\S]*Stopped/);
      await terminal.enter("fg");
      await settle();
      await terminal.press("C-c");
      // What is typed before sbx has ended is read by sbx.
      await terminal.waitFor(/\^C\s*outer>$/);
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
    await terminal.waitFor(/outer>$/);
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
      await settle();
      await terminal.press("C-c");
      await terminal.enter('echo "end $PIPESTATUS"');
      await terminal.waitFor("end 130");
    });
  },
);

test.needs(plain, "a terminal that goes away takes the sandbox along", async () => {
  const marker = `77${process.pid}.5`;
  await busybox(async (terminal) => {
    await terminal.enter(
      `$sbx run $R sh -c "setsid sleep ${marker} & echo re''ady; sleep ${marker}"`,
    );
    // Before that, launcher and compiler name the command as well.
    await terminal.waitFor("ready");
    assert.ok(processesNaming(`sleep ${marker}`).length >= 2);
  });
  assert.equal(await leftNaming(marker), []);
});

test.needs(plain, "in the background it writes, and stops when it reads", async () => {
  await busybox(async (terminal) => {
    await terminal.enter("$sbx run $R sh -c 'sleep 0.3; echo from be''hind' &");
    await terminal.waitFor("from behind");
    await terminal.enter("wait; clear");
    await terminal.enter("$sbx run $R sh -c 'read x; echo \"got $x\"' &");
    await settle();
    await terminal.enter("echo in front");
    await terminal.waitFor("\nin front");
    await terminal.enter("fg");
    await terminal.enter("for it");
    await terminal.waitFor("got for it");
  });
});

test.run();

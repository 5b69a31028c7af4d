/**
 * Records the session that the README shows, under tmux, and writes it to a file as SVG:
 *
 *     node --import tsx docs/picture.ts docs/session.svg
 *
 * Everything on the picture is typed into a real shell and answered by the programs named.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { svg } from "./svg.js";

const typed = [
  "id -u",
  "sbx run --rootless / bash",
  "id",
  "hostname; tty",
  "ps ax",
  "ip -brief address",
  "rm /etc/debian_version; echo hello > /etc/greeting",
  "cat /etc/debian_version /etc/greeting",
  "exit",
  "cat /etc/debian_version /etc/greeting",
  "",
];
const columns = 78;
const rows = 40;
const timeoutMs = 10_000;

const socket = `sbx-picture-${process.pid}`;
const environment = {
  HOME: homedir(),
  PATH: `${join(import.meta.dirname, "../cmd")}:${process.env.PATH}`,
  LANG: "C.UTF-8",
  SHELL: "/bin/sh",
  // Not as PS1: a shell that is not interactive takes that out of the environment.
  PROMPT: String.raw`\[\e[1;32m\]$\[\e[0m\] `,
};

function tmux(...args: string[]): string {
  const options = ["-L", socket, "-f", "/dev/null"];
  return execFileSync("tmux", [...options, ...args], { env: environment, encoding: "utf8" });
}

/** Waits until the line of the cursor looks so. */
async function waitFor(line: RegExp): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const screen = tmux("capture-pane", "-p").trimEnd();
    if (line.test(screen.slice(screen.lastIndexOf("\n") + 1))) return;
    if (performance.now() > deadline) throw new Error(`no ${line} on this screen:\n${screen}`);
    await sleep(50);
  }
}

async function record(): Promise<string> {
  const shell = "PS1=$PROMPT exec bash --norc --noprofile";
  tmux("new-session", "-d", "-x", `${columns}`, "-y", `${rows}`, "-c", environment.HOME, shell);
  try {
    const prompt = /[$#]$/;
    for (const command of typed) {
      await waitFor(prompt);
      if (command === "") break;
      tmux("send-keys", "-l", "--", command);
      await waitFor(new RegExp(`[$#] ${command.replace(/[^\w ]/g, "\\$&")}$`));
      tmux("send-keys", "Enter");
    }
    return tmux("capture-pane", "-e", "-p");
  } finally {
    tmux("kill-server");
  }
}

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("name the file to write");
const title =
  "A terminal: root in a sandbox made of the machine's own root, and nothing left of it";
writeFileSync(file, svg(await record(), columns, title));

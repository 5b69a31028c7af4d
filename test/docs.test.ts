/** The documents against the code: options, commands, links, the picture. */
import * as fs from "node:fs";
import { dirname, join, relative } from "node:path";
import * as assert from "uvu/assert";
import { execOptions } from "../cmd/options/exec.js";
import { type LiveCommand, liveCommands } from "../cmd/options/live.js";
import { type NetworkCommand, networkCommands } from "../cmd/options/networks.js";
import { aliasesOf, type Option, type OptionTable } from "../cmd/options/option.js";
import { limitOptions } from "../cmd/options/resources.js";
import { compileOptions, explainOptions, runOptions, unshareOptions } from "../cmd/options/run.js";
import { type SeccompCommand, seccompCommands } from "../cmd/options/seccomp.js";
import { asksForHelp, parseCommand, parseRun, parseWords } from "../cmd/parse.js";
import { svg } from "../docs/svg.js";
import { suite } from "./support/suite.js";

const test = suite("docs");
const root = join(import.meta.dirname, "..");
const read = (path: string) => fs.readFileSync(join(root, path), "utf8");

/** All documents, relative to the root. */
const documents = [".", "docs"].flatMap((folder) =>
  fs
    .readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name)),
);
const reference = "docs/sbx.1.md";
const options = Object.entries<Option>(runOptions);

const seccompOptions = new Map(
  Object.values(seccompCommands).flatMap((each) => Object.entries<Option>(each.options)),
);

const ownOfCompile = Object.entries<Option>(compileOptions).filter(
  ([name]) => !Object.hasOwn(runOptions, name),
);

const createOptions = Object.entries<Option>(networkCommands.create.options);

const liveOptions = [...Object.values(liveCommands).map(({ options }) => options), execOptions]
  .flatMap((table: OptionTable) => Object.entries(table))
  .filter(([name]) => !Object.hasOwn(runOptions, name));

/** Options of the commands that yargs parses, and its own. */
const otherFlags = [
  ...["stage", "lower", "json", "quiet", "all", "force", "sbx-info", "alias", "help", "version"],
  ...liveOptions.flatMap(([name, option]) => [name, ...aliasesOf(option)]),
  ...seccompOptions.keys(),
  ...createOptions.map(([name]) => name),
  ...ownOfCompile.map(([name]) => name),
];

/** The heads of the reference's entries: `- **…** (default: …; since v…)`. */
function entries(page: string): string[] {
  return page.split("\n").filter((line) => line.startsWith("- **`-"));
}

/** All long flags that a page names, without their values. */
function longFlags(page: string): string[] {
  return [...page.matchAll(/(?<![\w-])--([a-z][a-z0-9-]*[a-z0-9])(?![\w-])/g)].map(
    ([, name = ""]) => name,
  );
}

const spelling = (name: string) => (name.length > 1 ? `--${name}` : `-${name}`);
const names = (entry: string) =>
  [...entry.matchAll(/`(--?[a-zA-Z0-9-]+)/g)].map(([, name]) => name);

test("every option has an entry with its names, its default and a version", () => {
  const heads = entries(read(reference));
  for (const [name, option] of [...options, ...seccompOptions, ...createOptions, ...ownOfCompile]) {
    const isSeccomp = seccompOptions.get(name) === option;
    const isCompile = ownOfCompile.some(([, each]) => each === option);
    const isNetwork = createOptions.some(([, each]) => each === option);
    const head = heads.find(
      (line) =>
        names(line)[0] === spelling(name) &&
        line.includes("`sbx seccomp") === isSeccomp &&
        line.includes("`sbx compile`") === isCompile &&
        line.includes("`sbx network create`") === isNetwork,
    );
    assert.ok(head, `no entry for --${name}`);
    assert.equal(names(head), [name, ...aliasesOf(option)].map(spelling), `names of --${name}`);
    const { defaultDescription: value } = option;
    const said = /\((?:.*; )?default: (.*); since/.exec(head)?.[1];
    assert.is(said, value, `default of --${name}`);
    assert.is(head.includes("repeatable"), option.array === true, `repeatable: --${name}`);
    assert.match(head, /since v\d+\.\d+\.\d+\)/);
    for (const choice of option.choices ?? [])
      assert.ok(head.includes(choice), `${name} ${choice}`);
  }
  for (const [name] of liveOptions) {
    assert.ok(
      heads.some((head) => names(head).includes(spelling(name))),
      `no entry for --${name}`,
    );
  }
  assert.equal(
    heads.filter((head) => !isKnown(names(head)[0]?.replace(/^-+/, "") ?? "")),
    [],
  );
});

const isKnown = (name: string) =>
  Object.hasOwn(explainOptions, name) ||
  otherFlags.includes(name) ||
  options.some(([, option]) => aliasesOf(option).includes(name));

test("every long flag of the reference is an option", () => {
  const unknown = longFlags(read(reference)).filter((name) => {
    const positive = name.replace(/^no-/, "");
    const option: Option | undefined = Object.entries<Option>(runOptions).find(
      ([each]) => each === positive,
    )?.[1];
    const negated = positive !== name && option?.type === "boolean" && option.negatable !== false;
    return !isKnown(name) && !negated;
  });
  assert.equal(unknown, []);
});

/** The words of a shell command up to the first operator, without quotes and with a home. */
function words(line: string): string[] {
  const found: string[] = [];
  for (const [word, operator] of line.matchAll(/([|;&<>#].*)|(?:'[^']*'|"[^"]*"|[^\s'"|;&<>])+/g)) {
    if (operator !== undefined) break;
    found.push(word.replace(/'([^']*)'|"([^"]*)"/g, "$1$2").replaceAll("$HOME", "/home/me"));
  }
  return found;
}

/** The `sbx` command lines of a page's shell blocks, each as words after `sbx`. */
function commandLines(page: string): string[][] {
  const blocks = [...page.matchAll(/^```(?:sh|console)\n([\s\S]*?)^```/gm)];
  return blocks
    .flatMap(([, block = ""]) => block.split("\n"))
    .flatMap((line) => line.split(/ \| |&& |\$\(/))
    .map((command) => words(command.replace(/^\$ /, "")))
    .flatMap(([program = "", ...rest]) =>
      program === "sbx" || program.endsWith("/sbx") ? [rest] : [],
    );
}

test("every command line in a document can be parsed", () => {
  let count = 0;
  for (const path of documents) {
    for (const [command = "", ...rest] of commandLines(read(path))) {
      count += 1;
      const line = `${path}: sbx ${[command, ...rest].join(" ")}`;
      if (command === "run" && !asksForHelp(rest)) {
        assert.not.throws(() => parseRun(rest), undefined, line);
      } else if (command === "explain") {
        assert.is(rest[0], "run", line);
        assert.not.throws(() => parseRun(rest.slice(1), explainOptions), undefined, line);
      } else if (command === "compile") {
        assert.not.throws(() => parseRun(rest, compileOptions), undefined, line);
      } else if (command === "unshare") {
        assert.not.throws(() => parseCommand(rest, unshareOptions), undefined, line);
      } else if (command === "update") {
        assert.not.throws(() => parseWords(rest, limitOptions), undefined, line);
      } else if (command === "network") {
        const { options } = networkCommands[rest[0] as NetworkCommand];
        assert.not.throws(() => parseWords(rest.slice(1), options), undefined, line);
      } else if (command === "seccomp") {
        const { options } = seccompCommands[rest[0] as SeccompCommand];
        assert.not.throws(() => parseWords(rest.slice(1), options), undefined, line);
      } else if (Object.hasOwn(liveCommands, command)) {
        const { options } = liveCommands[command as LiveCommand];
        // What follows NAME is the command's.
        const parse = command === "exec" ? parseCommand : parseWords;
        assert.not.throws(() => parse(rest, options), undefined, line);
      } else {
        assert.ok(
          /^(run|diff|volume|cache|check|completion|help|--help|--version)$/.test(command),
          line,
        );
      }
    }
  }
  assert.ok(count > 10, `${count} command lines`);
});

/** The anchor that a heading gets. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");
}

/** Links of a page that lead nowhere. `exists` and `text` are asked for paths below the root. */
function brokenLinks(path: string, page: string): string[] {
  const text = page.replace(/^```[\s\S]*?^```/gm, "");
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"/g)].map(
    ([, target = "", attribute = ""]) => target || attribute,
  );
  return targets.filter((target) => {
    if (/^[a-z]+:/.test(target)) return false;
    const [file = "", fragment] = target.split("#");
    const full = file === "" ? join(root, path) : join(root, dirname(path), file);
    if (!fs.existsSync(full) || relative(root, full).startsWith("..")) return true;
    if (fragment === undefined) return false;
    const headings = [...fs.readFileSync(full, "utf8").matchAll(/^#+ (.*)$/gm)];
    return !headings.some(([, heading = ""]) => anchor(heading) === fragment);
  });
}

test("links lead to files and headings", () => {
  for (const path of documents) assert.equal(brokenLinks(path, read(path)), [], path);
  const page = "[a](absent.md) [b](README.md#nowhere) [c](README.md) [d](../x) <img src='no'>";
  assert.equal(brokenLinks("a.md", page), ["absent.md", "README.md#nowhere", "../x"]);
});

/** Names of functions and files in backquotes that look like the code's own. */
function namedFiles(page: string): string[] {
  const pattern = /`((?:cmd|launch|rootfs|userns|netns|seccomp|spec|test|docs|bench)\/[\w./-]+)`/g;
  return [...page.matchAll(pattern)].map(([, path = ""]) => path);
}

test("files named in the documents exist", () => {
  let count = 0;
  for (const path of documents) {
    for (const file of namedFiles(read(path))) {
      count += 1;
      assert.ok(fs.existsSync(join(root, file)), `${path} names ${file}`);
    }
  }
  assert.ok(count > 20, `${count} files`);
});

test("functions named in architecture.md exist", () => {
  const folders = ["cmd", "launch", "rootfs", "userns", "cgroup", "netns", "seccomp", "spec"];
  const code = folders
    .flatMap((folder) =>
      fs
        .readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".ts"))
        .map((name) => read(join(folder, name))),
    )
    .join("\n");
  const page = read("docs/architecture.md");
  const named = [...page.matchAll(/`(\w+)\(\)`/g)].map(([, name = ""]) => name);
  assert.ok(named.length > 20, `${named.length} functions`);
  const absent = named.filter((name) => !new RegExp(`\\bfunction ${name}\\b`).test(code));
  assert.equal(absent, []);
});

test("a diagram has no semicolon, which would end a statement of Mermaid's", () => {
  const blocks = documents.flatMap((path) => [
    ...read(path).matchAll(/^```mermaid\n([\s\S]*?)^```/gm),
  ]);
  assert.is(blocks.length, 2);
  for (const [, block = ""] of blocks) assert.not.match(block, ";");
});

test("the README has one marked test command", () => {
  const marked = [...read("README.md").matchAll(/<!-- test command -->\n+```sh\n(.*)\n```/g)];
  assert.equal(
    marked.map(([, command]) => command),
    ["npm ci && npm test"],
  );
});

test("a screen becomes a picture", () => {
  const picture = svg("a\x1b[1;32m<b\x1b[0m  c\n\x1b[41m \x1b[49md\n\n", 8, "A & B");
  const elements = picture.match(/<(?:text|rect)[^>]*>[^<]*/g) ?? [];
  assert.match(picture, "<title>A &amp; B</title>");
  assert.is(elements.length, 6);
  assert.match(elements[1] ?? "", /x="16".*textLength="8".*>a$/);
  assert.match(elements[2] ?? "", /x="24".*textLength="16".*fill="#3fb950".*bold.*>&lt;b$/);
  assert.match(elements[3] ?? "", /x="40".*textLength="24"[^#]*> {2}c$/);
  assert.match(elements[4] ?? "", /^<rect x="16" y="35" width="8".*fill="#ff7b72"/);
  assert.match(elements[5] ?? "", /x="24" y="49".*>d$/);
  assert.throws(() => svg("\x1b[38;5;1mx", 8, ""), "no picture for the terminal attribute 38");
});

test("the committed picture shows the session that the script types", () => {
  const typed = /const typed = \[([\s\S]*?)\];/.exec(read("docs/picture.ts"))?.[1] ?? "";
  const shown = read("docs/session.svg")
    .replaceAll("&gt;", ">")
    .replace(/<[^>]*>/g, "");
  const commands = [...typed.matchAll(/"(.+)"/g)].map(([, command = ""]) => command);
  assert.ok(commands.length > 5);
  for (const command of commands) assert.ok(shown.includes(command), command);
});

test.run();

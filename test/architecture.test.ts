/** The rules of the source tree that the compiler of TypeScript does not know. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join, normalize } from "node:path";
import * as assert from "uvu/assert";
import { suite } from "./support/suite.js";

const test = suite("architecture");
const root = join(import.meta.dirname, "..");

/** What each folder may import besides itself. */
const features = ["userns", "rootfs", "cgroup", "netns", "seccomp"];
const arrows: Readonly<Record<string, readonly string[]>> = {
  cmd: ["launch", ...features, "spec"],
  launch: [...features, "spec"],
  ...Object.fromEntries(features.map((feature) => [feature, ["spec"]])),
  spec: [],
};

/** The text without comments. Strings stay: a `//` in one must not hide the line's rest. */
function withoutComments(text: string): string {
  return text.replace(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`)|\/\*[\s\S]*?\*\/|\/\/.*/g,
    "$1",
  );
}

/** Every import, export … from, and dynamic import of a file, as written. */
function imports(text: string): string[] {
  const pattern = /\b(?:from|import)\s*\(?\s*["'`]([^"'`]+)["'`]/g;
  return [...withoutComments(text).matchAll(pattern)].map(([, specifier]) => specifier ?? "");
}

/** The arrows that go the wrong way, `from -> to`, among sources and data given by path. */
function wrongArrows(files: ReadonlyMap<string, string>): string[] {
  const wrong: string[] = [];
  for (const [path, text] of files) {
    const from = path.split("/")[0] ?? "";
    const allowed = arrows[from];
    for (const specifier of imports(text)) {
      if (!specifier.startsWith(".")) continue;
      const target = normalize(join(path, "..", specifier));
      const to = target.split("/")[0] ?? "";
      if (allowed === undefined || (to !== from && !allowed.includes(to))) {
        wrong.push(`${path} -> ${target}`);
      } else if (!files.has(target.replace(/\.js$/, ".ts"))) {
        wrong.push(`${path} -> ${target}, which is no source file`);
      }
    }
  }
  return wrong;
}

/** Uses of what belongs to the command line alone, `path: use`. */
function processUses(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([path, text]) =>
    path.startsWith("cmd/")
      ? []
      : [...withoutComments(text).matchAll(/\bprocess\s*\.\s*(argv|exitCode|exit)\b/g)].map(
          ([use]) => `${path}: ${use}`,
        ),
  );
}

function sources(): Map<string, string> {
  const files = new Map<string, string>();
  for (const folder of Object.keys(arrows)) {
    if (!fs.existsSync(join(root, folder))) continue;
    for (const name of fs.readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
      const path = join(folder, name);
      if (/\.(ts|json)$/.test(path)) files.set(path, fs.readFileSync(join(root, path), "utf8"));
    }
  }
  return files;
}

/** Programs of their own, which nothing imports: they read argv and exit. */
const generators = new Set(["spec/generate-linux.ts", "seccomp/generate-syscalls.ts"]);

test("imports go one way", () => {
  const files = sources();
  assert.ok(files.size > 5);
  assert.equal(wrongArrows(files), []);
});

test("only the command line reads argv and sets the exit code", () => {
  const files = sources();
  for (const path of generators) {
    const importing = (text: string) =>
      imports(text).some((specifier) =>
        path.endsWith(`/${specifier.replace(/.*\/|\.js$/g, "")}.ts`),
      );
    assert.equal(
      [...files].filter(([, text]) => importing(text)),
      [],
    );
    files.delete(path);
  }
  assert.equal(processUses(files), []);
});

test("a planted wrong arrow is found", () => {
  const planted = (path: string, text: string) =>
    wrongArrows(
      new Map([
        ["cmd/a.ts", ""],
        ["launch/a.ts", ""],
        ["userns/a.ts", ""],
        ["rootfs/a.ts", ""],
        ["spec/a.ts", ""],
        [path, text],
      ]),
    );
  assert.equal(planted("cmd/b.ts", `import { a } from "../launch/a.js";`), []);
  assert.equal(
    planted("launch/b/c.ts", `import * as a from "../a.js"; import "../../spec/a.js";`),
    [],
  );
  assert.equal(planted("rootfs/b.ts", `// import "../cmd/a.js"\n/* from "../cmd/a.js" */`), []);
  for (const [path, text, to] of [
    ["launch/b.ts", `import { a } from "../cmd/a.js";`, "cmd/a.js"],
    ["launch/b/c.ts", `import type { A } from "../../cmd/a.js";`, "cmd/a.js"],
    ["rootfs/b.ts", `export * from '../userns/a.js';`, "userns/a.js"],
    ["userns/b.ts", `const a = await import("../launch/a.js");`, "launch/a.js"],
    ["spec/b.ts", `import {\n  a,\n  b,\n} from "../rootfs/a.js";`, "rootfs/a.js"],
    ["spec/b.ts", `const url = "http://x"; import "../cmd/a.js";`, "cmd/a.js"],
    ["other/b.ts", `import "../spec/a.js";`, "spec/a.js"],
    ["cmd/b.ts", `import "./absent.js";`, "cmd/absent.js, which is no source file"],
    ["cmd/b.ts", `import "../test/support/suite.js";`, "test/support/suite.js"],
  ] as const) {
    assert.equal(planted(path, text), [`${path} -> ${to}`]);
  }
});

test("a planted use of the process is found", () => {
  const files = new Map([
    ["launch/a.ts", "process.exitCode = 1;"],
    ["spec/a.ts", "const [, , word] = process.argv; // process.exit"],
    ["netns/a.ts", "process\n  .exit(1)"],
    ["cmd/a.ts", "process.exit(1)"],
    ["rootfs/a.ts", "process.env"],
  ]);
  assert.equal(processUses(files).length, 3);
});

/** What esbuild says of a source: what it imports. */
interface Metafile {
  readonly inputs: Readonly<
    Record<
      string,
      { readonly imports: readonly { path: string; kind: string; external?: boolean }[] }
    >
  >;
}

/** The sources and outside modules that are loaded with one, dynamic imports aside. */
function loadedWith({ inputs }: Metafile, entry: string): Set<string> {
  const loaded = new Set<string>();
  const visit = (path: string) => {
    if (loaded.has(path)) return;
    loaded.add(path);
    for (const { path: next, kind } of inputs[path]?.imports ?? []) {
      if (kind !== "dynamic-import") visit(next);
    }
  };
  visit(entry);
  return loaded;
}

/** Modules of a start that read files by themselves, which the cache then does not know of: why that is right. */
const ownReaders: Readonly<Record<string, string>> = {
  "launch/facts/readings.ts": "it is what notes readings down",
  "launch/cache/entry-checks.ts": "it looks again at what was noted down",
  "launch/cache/store.ts": "it keeps the program that was made",
  "launch/facts/directories.ts": "it makes directories",
  "launch/facts/in-root.ts": "of an open file",
  "launch/facts/layer-facts.ts": "of an open file",
  "launch/life/plain-file.ts": "of sandboxes that run or are kept",
  "launch/life/lock-file.ts": "of sandboxes that run or are kept",
  "launch/life/locks.ts": "of sandboxes that run or are kept",
  "launch/life/records.ts": "of sandboxes that run or are kept",
  "launch/life/sweep.ts": "of sandboxes that run or are kept",
  "launch/life/kept.ts": "of sandboxes that run or are kept",
  "launch/store/networks.ts": "what is on networks is not cached",
  "launch/store/volumes.ts": "what has volumes is not cached",
  "launch/store/kept-upper.ts": "what has a kept upper is not cached",
  "cmd/files.ts": "of an open file, and to write",
  "cmd/status.ts": "what has a status fd is not cached",
};
const reading =
  /\b(stat|lstat|fstat|open|readFile|read|readdir|readlink|realpath|access|exists)Sync\b/;

test("a start loads neither yargs nor koffi nor a parser of files, and notes down what it reads", () => {
  const target = fs.mkdtempSync(join(tmpdir(), "sbx-build-"));
  try {
    const { status, stdout, stderr } = spawnSync(process.execPath, ["build.mjs", target], {
      cwd: root,
      encoding: "utf8",
    });
    assert.is(stdout + stderr, "", "a build that works has nothing to say");
    assert.is(status, 0);
    const meta = JSON.parse(fs.readFileSync(join(target, "meta.json"), "utf8")) as Metafile;
    const loaded = [...loadedWith(meta, "cmd/dispatch.ts")];
    assert.ok(loaded.includes("launch/plan.ts"));
    const readers = loaded.filter((path) => {
      const text = /^(cmd|launch|spec)\/.*\.ts$/.test(path)
        ? fs.readFileSync(join(root, path), "utf8")
        : "";
      const [, names = ""] = /^import ([^;]*?) from "node:fs";/ms.exec(text) ?? [];
      return names.startsWith("*") ? reading.test(text) : reading.test(names);
    });
    assert.equal(
      readers.filter((path) => !Object.hasOwn(ownReaders, path)),
      [],
      "these read past launch/facts/readings.ts",
    );
    const heavy = /^node_modules\/(yargs|koffi|ini|jsonc-parser)\/|^koffi$/;
    assert.equal(
      loaded.filter((path) => heavy.test(path)),
      [],
    );
    assert.ok(
      [...loadedWith(meta, "cmd/cli.ts")].some((path) => heavy.test(path)),
      "they are there, to be loaded on demand",
    );
  } finally {
    fs.rmSync(target, { recursive: true, force: true });
  }
});

test("the bundle says so where Node is too old for it", () => {
  const text = fs.readFileSync(join(root, "build.mjs"), "utf8");
  const entry = /const entry = `([\s\S]*?)`;/.exec(text)?.[1] ?? "";
  const old = `Object.defineProperty(process, "versions", { value: { node: "18.20.0" } });`;
  const { status, stderr } = spawnSync(process.execPath, ["-e", old + entry], { encoding: "utf8" });
  assert.is(stderr, "sbx: start: node 18.20.0 is too old. Install Node.js 20.19 or later\n");
  assert.is(status, 125);
});

test.run();

/**
 * Bundles into dist/: `sbx.cjs`, which the launcher starts; `main.cjs`, which is all of sbx, with what V8 made of it
 * (`main-VERSION-ARCH.cache`); `run.blob`, a snapshot of Node's heap with what a plain run needs; the finder; and `library.js`, which
 * `import "sbx"` finds, with its types and chunks that are loaded on demand. A directory given as the only argument is
 * built instead, with `meta.json`, esbuild's account of what imports what.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";

/** Node 12 and later can read this, to say in words that it is too old for the rest: package.json. */
const entry = `const [major, minor] = process.versions.node.split(".").map(Number);
if (!(major > 20 || (major === 20 && minor >= 19))) {
  console.error(
    "sbx: start: node " + process.versions.node + " is too old. Install Node.js 20.19 or later",
  );
  process.exitCode = 125;
} else {
  require("./load.cjs").load().dispatch(process.argv.slice(2));
}
`;

/**
 * V8 rejects a cache of another version of itself, or with other flags, and compiles. But its patches do not count: Node
 * 20.19.0 ends by SIGSEGV with the cache of 20.20.2. So the name has Node's version.
 */
const loader = `const { readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { setFlagsFromString } = require("node:v8");
const { Script, constants } = require("node:vm");
const filename = join(__dirname, "main.cjs");
const cache = join(__dirname, \`main-\${process.version}-\${process.arch}.cache\`);

// What runs for a tenth of a second is over before optimized code of it would pay.
setFlagsFromString("--no-opt");

exports.load = (save) => {
  let cachedData;
  try {
    cachedData = readFileSync(cache);
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
  const script = new Script(readFileSync(filename, "latin1"), {
    filename,
    cachedData,
    // For what import() finds outside of the bundle.
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, require, module, filename, __dirname);
  if (save) process.once("exit", () => writeFileSync(cache, script.createCachedData()));
  return module.exports;
};
`;

/**
 * A namespace of Node's as it is: esbuild would copy it for each importer, with a function to get each member, which is a
 * hundred for node:fs.
 */
const builtins = {
  name: "builtins",
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => ({
      loader: "ts",
      contents: (await readFile(path, "utf8")).replace(
        /^import \* as (\w+) from ("node:\w+");$/gm,
        "const $1 = process.getBuiltinModule($2);",
      ),
    }));
  },
};

/**
 * What is imported on demand is not in the snapshot, but for what it `keeps`: the start is begun anew with `main.cjs`,
 * before anything was done.
 */
const later = (keeps) => ({
  name: "later",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /./ }, ({ kind, path }) =>
      kind === "dynamic-import" && !keeps.includes(path) ? { path, namespace: "later" } : null,
    );
    onLoad({ filter: /./, namespace: "later" }, () => ({
      contents: `throw new Error("not in the snapshot"); export {};`,
    }));
  },
});

/** Has Node run sbx as words(rootfs) say, for V8 to see what is used. It only compiles; a rootfs is any directory. */
async function tryOut(words) {
  const work = await mkdtemp(join(tmpdir(), "sbx-build-"));
  try {
    await promisify(execFile)(process.execPath, words(work), {
      env: { PATH: process.env.PATH, HOME: work },
    });
  } finally {
    await rm(work, { recursive: true });
  }
}

/** With the functions that the commands use which are wanted most, as far as they need neither koffi nor a sandbox. */
const saveCache = (directory) =>
  tryOut((rootfs) => [
    "-e",
    `const { dispatch } = require(${JSON.stringify(join(directory, "load.cjs"))}).load(true);
    (async () => {
      await dispatch(["run", "--no-cache", ${JSON.stringify(rootfs)}]);
      await dispatch(["ps"]);
    })();`,
  ]);

/**
 * With what a snapshot is made and, which is to be the same, used: cmd/sbx. What runs for a tenth of a second is over
 * before optimized code, or garbage collected by several threads, would pay. Hash tables keep the seed of the build: with
 * that known, whoever chooses the words of a command line can have that command be slow.
 */
const snapshotFlags = ["--no-opt", "--no-maglev", "--single-threaded-gc", "--no-rehash-snapshot"];

/** Without it, where the Node that builds cannot have one, starts are slower, and nothing else is different. */
async function saveSnapshot(directory) {
  const script = join(directory, "snapshot.cjs");
  const blob = join(directory, "run.blob");
  try {
    await tryOut((rootfs) => [
      ...snapshotFlags,
      "--snapshot-blob",
      blob,
      "--build-snapshot",
      script,
      join(directory, "sbx.cjs"),
      rootfs,
    ]);
  } catch (error) {
    console.warn(`sbx starts without a snapshot of Node's heap: ${error.message}`);
    await rm(blob, { force: true });
  }
  await rm(script);
}

/** The declarations of a module and of all that they name. */
async function writeTypes(module, directory) {
  const settings = JSON.parse(await readFile(join(here, "tsconfig.json"), "utf8")).compilerOptions;
  const flags = Object.entries({
    ...settings,
    noEmit: false,
    noCheck: true,
    declaration: true,
    emitDeclarationOnly: true,
    rootDir: here,
    outDir: `${directory}.all`,
  }).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const tsc = join(here, "node_modules/.bin/tsc");
  await promisify(execFile)(tsc, ["--ignoreConfig", ...flags, module], { cwd: here });
  const wanted = [module.replace(/\.ts$/, ".d.ts")];
  for (const path of wanted) {
    const text = await readFile(join(`${directory}.all`, path), "utf8");
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
    for (const [, named] of text.matchAll(/from "(\..*)\.js"/g)) {
      const next = join(dirname(path), `${named}.d.ts`);
      if (!wanted.includes(next)) wanted.push(next);
    }
  }
  await rm(`${directory}.all`, { recursive: true });
}

/** What the sources are, in 56 bits: launch/cache/entry-format.ts. */
async function sourcesId() {
  const hash = createHash("sha256");
  for (const folder of [
    "cgroup",
    "cmd",
    "launch",
    "netns",
    "rootfs",
    "seccomp",
    "spec",
    "userns",
  ]) {
    for (const name of (await readdir(join(here, folder), { recursive: true })).sort()) {
      if (/\.(ts|json)$/.test(name)) hash.update(await readFile(join(here, folder, name)));
    }
  }
  return `0x${hash.digest("hex").slice(0, 14)}`;
}

const here = import.meta.dirname;
const target = resolve(process.argv[2] ?? join(here, "dist"));

// Built beside the target and put in place by rename, so that a running sbx never sees half of it.
const fresh = `${target}.${process.pid}`;
await mkdir(fresh);
try {
  const define = { sbxBuild: JSON.stringify(await sourcesId()) };
  const common = {
    absWorkingDir: here,
    outdir: fresh,
    bundle: true,
    platform: "node",
    target: "node20",
    // jsonc-parser's main is UMD, whose imports cannot be followed.
    mainFields: ["module", "main"],
    // A native module is found beside its own files; the other asks for modules of Node's by require().
    external: ["koffi", "tar-stream"],
    define,
    logLevel: "warning",
  };
  await build({
    ...common,
    entryPoints: { library: "cmd/library.ts", finder: "cmd/finder.ts" },
    splitting: true,
    chunkNames: "[name]-[hash]",
    format: "esm",
  });
  const start = { ...common, outExtension: { ".js": ".cjs" }, minify: true, format: "cjs" };
  const { metafile } = await build({
    ...start,
    entryPoints: { main: "cmd/dispatch.ts" },
    plugins: [builtins],
    banner: {
      js: "(function (exports, require, module, __filename, __dirname) { const __url = require('node:url').pathToFileURL(__filename).href;",
    },
    footer: { js: "})" },
    define: {
      ...define,
      "import.meta.dirname": "__dirname",
      "import.meta.filename": "__filename",
      "import.meta.url": "__url",
    },
    metafile: true,
  });
  await build({
    ...start,
    entryPoints: { snapshot: "cmd/snapshot.ts" },
    // Many have a configuration file.
    plugins: [builtins, later(["ini"])],
    define: {
      ...define,
      "import.meta.dirname": "globalThis.sbxDirectory",
      "import.meta.filename": "globalThis.sbxFile",
    },
  });
  await writeFile(join(fresh, "sbx.cjs"), entry);
  await writeFile(join(fresh, "load.cjs"), loader);
  await saveCache(fresh);
  await saveSnapshot(fresh);
  await writeTypes("cmd/library.ts", join(fresh, "types"));
  const { finder } = await import(join(fresh, "finder.js"));
  for (const architecture of ["x86_64", "aarch64"]) {
    await writeFile(join(fresh, `sbx-find-${architecture}`), finder(architecture), { mode: 0o755 });
  }
  if (process.argv[2] !== undefined) {
    await writeFile(join(fresh, "meta.json"), JSON.stringify(metafile));
  }
  await rm(target, { recursive: true, force: true });
  await rename(fresh, target);
} catch (error) {
  await rm(fresh, { recursive: true, force: true });
  throw error;
}

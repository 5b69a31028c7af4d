/**
 * Bundles into dist/: `sbx.js`, which the launcher starts; `main.js` with what every start needs;
 * `library.js`, which `import "sbx"` finds, with its types; and chunks that are loaded on demand. A directory given as the only argument is
 * built instead, with `meta.json`, esbuild's account of which file went where.
 */
import { execFile } from "node:child_process";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";

/** Node 12 and later can read this, to say in words that it is too old for the rest: package.json. */
const entry = `const [major, minor] = process.versions.node.split(".").map(Number);
if (major > 20 || (major === 20 && minor >= 19)) {
  import("./main.js");
} else {
  console.error(
    "sbx: start: node " + process.versions.node + " is too old. Install Node.js 20.19 or later",
  );
  process.exitCode = 125;
}
`;

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

const here = import.meta.dirname;
const target = resolve(process.argv[2] ?? join(here, "dist"));

// Built beside the target and put in place by rename, so that a running sbx never sees half of it.
const fresh = `${target}.${process.pid}`;
await mkdir(fresh);
try {
  const { metafile } = await build({
    absWorkingDir: here,
    entryPoints: { main: "cmd/main.ts", library: "cmd/library.ts", finder: "cmd/finder.ts" },
    outdir: fresh,
    bundle: true,
    splitting: true,
    chunkNames: "[name]-[hash]",
    format: "esm",
    platform: "node",
    target: "node20",
    // jsonc-parser's main is UMD, whose imports cannot be followed.
    mainFields: ["module", "main"],
    // A native module is found beside its own files.
    external: ["koffi"],
    metafile: true,
    logLevel: "warning",
  });
  await writeFile(join(fresh, "sbx.js"), entry);
  await writeTypes("cmd/library.ts", join(fresh, "types"));
  const { finder } = await import(join(fresh, "finder.js"));
  await writeFile(join(fresh, "find-x86_64"), finder("x86_64"), { mode: 0o755 });
  if (process.argv[2] !== undefined) {
    await writeFile(join(fresh, "meta.json"), JSON.stringify(metafile));
  }
  await rm(target, { recursive: true, force: true });
  await rename(fresh, target);
} catch (error) {
  await rm(fresh, { recursive: true, force: true });
  throw error;
}

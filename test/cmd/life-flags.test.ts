/** The options of what runs in the background. */
import * as assert from "uvu/assert";
import { specFromFlags } from "../../cmd/flags.js";
import { keptSpec, readLife, readRestart, refuseOtherLife } from "../../cmd/life-flags.js";
import { parseRun } from "../../cmd/parse.js";
import { validate } from "../../spec/validate.js";
import { suite } from "../support/suite.js";

const test = suite("cmd/life-flags");
const place = { id: "0123456789ab", directory: "/data/sandboxes/0123456789ab" };
const files: Record<string, string> = { labels: "# none\na=1\n\nb=2=3\nc\n" };
const environment = {
  readFile: (path: string) => files[path] ?? null,
  places: { absolute: (path: string) => path, volumes: "/volumes" },
  findDisk: () => {
    throw new Error("no disk is asked for");
  },
};

const flagsOf = (...options: string[]) => parseRun([...options, "rootfs", "sh"]).flags;
function kept(...options: string[]) {
  const { flags, rootfs, command } = parseRun([...options, "rootfs", "sh", "-c", "true"]);
  const spec = specFromFlags(flags, rootfs, command, environment);
  const variables = { TERM: "vt100", LANG: "C", UNSET: undefined };
  return validate(keptSpec(spec, flags, { ...place, name: "web", environment: variables }));
}

test("without options it is kept, logged, and started once", () => {
  assert.equal(readLife(flagsOf("-d"), place), {
    ...place,
    stdin: false,
    restart: { name: "no" },
    log: { maxSizeBytes: 10 * 1024 * 1024, maxFiles: 3 },
    removeAtEnd: false,
  });
});

test("options are read into what the program keeps to", () => {
  const words =
    "-di --restart on-failure:3 --stop-signal sigint --stop-timeout -1 --pidfile p --log-opt max-size=1m,max-file=2";
  assert.equal(readLife(flagsOf(...words.split(" ")), place), {
    ...place,
    stdin: true,
    restart: { name: "on-failure", maximumRetryCount: 3 },
    stopSignal: "INT",
    stopTimeoutSeconds: -1,
    log: { maxSizeBytes: 1024 * 1024, maxFiles: 2 },
    pidFile: `${process.cwd()}/p`,
    removeAtEnd: false,
  });
  assert.is(readLife(flagsOf("--log-driver=none"), place).log, null);
  assert.equal(readRestart("always", ""), { name: "always" });
});

test("a kept spec means the same from anywhere", () => {
  const spec = kept("-e", "LANG", "-e", "UNSET", "-e", "A=b", "--lower", "lower", "--rm");
  assert.is(spec.root.path, `${process.cwd()}/rootfs`);
  assert.equal(spec.sbx.lowers, [`${process.cwd()}/lower`]);
  assert.equal(spec.process.env.slice(1).sort(), ["A=b", "LANG=C", "TERM=vt100"]);
  assert.equal([spec.sbx.inheritEnv, spec.sbx.inheritAllEnv], [[], false]);
  assert.equal(spec.process.args, ["sh", "-c", "true"]);
  assert.is(spec.process.terminal, false);
  assert.is(kept("-t").process.terminal, true);
});

test("what is written is kept with it, unless something else is asked for", () => {
  const upper = ({ sbx }: ReturnType<typeof kept>) => [sbx.writes, sbx.upper];
  assert.equal(upper(kept()), ["upper", `${place.directory}/upper`]);
  assert.equal(upper(kept("--rm")), ["throw-away", undefined]);
  assert.equal(upper(kept("--read-only")), ["throw-away", undefined]);
  assert.equal(upper(kept("--in-place")), ["in-place", undefined]);
  assert.equal(upper(kept("--upper", "mine")), ["upper", `${process.cwd()}/mine`]);
});

test("labels are annotations", () => {
  const { annotations } = kept("-l", "a=9", "--label", "x.y/z=", "--label-file", "labels");
  assert.equal(annotations, { a: "9", b: "2=3", c: "", "x.y/z": "" });
});

test("what cannot be is refused, with a mend", () => {
  const refused = (isKept: boolean, ...options: string[]) => {
    try {
      refuseOtherLife(flagsOf(...options), isKept);
      return "it is not refused";
    } catch (error) {
      return (error as Error).message;
    }
  };
  for (const option of ["restart=always", "stop-signal=INT", "cidfile=x", "log-driver=none"]) {
    assert.match(refused(false, `--${option}`), /in the background\. Give --detach, or use/);
    assert.is(refused(true, `--${option}`), "it is not refused");
  }
  assert.match(refused(true, "--status-fd=3"), /in the foreground/);
  assert.match(refused(true, "--upper-size=1g"), /Give --rm as well/);
  assert.is(refused(true, "--upper-size=1g", "--rm"), "it is not refused");
  for (const [option, why] of [
    ["restart=unless-stopped", /Give always/],
    ["restart=on-fail", /Did you mean on-failure/],
    ["restart=on-failure:0", /above zero/],
    ["restart=always:3", /takes no number/],
    ["stop-signal=NONE", /is no signal/],
    ["stop-timeout=-2", /or -1 for no end/],
    ["label==x", /must be KEY=VALUE/],
    ["log-opt=max-size=4095", /4k or more/],
    ["log-opt=max-file=0", /from 1 to 100/],
    ["log-opt=size=1", /must be max-size/],
    ["log-driver=syslog", /must be k8s-file or none/],
  ] as const) {
    assert.throws(() => flagsOf(`--${option}`), why);
  }
  assert.throws(
    () => kept("--restart=no", "--rm"),
    /--restart: cannot be given together with --rm/,
  );
});

test.run();

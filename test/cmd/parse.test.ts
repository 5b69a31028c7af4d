import * as assert from "uvu/assert";
import yargs from "yargs";
import { aliasesOf, type Option } from "../../cmd/options/option.js";
import { runOptions } from "../../cmd/options/run.js";
import { asksForHelp, parseRun, parseWords } from "../../cmd/parse.js";
import { suite } from "../support/suite.js";

const test = suite("cmd/parse");

const flagsOf = (...argv: string[]) => parseRun([...argv, "./rootfs"]).flags;
const message = (...argv: string[]): string => {
  try {
    parseRun(argv);
  } catch (error) {
    return (error as Error).message;
  }
  return "";
};

test("leaves everything after ROOTFS to the command", () => {
  const argv = ["-it", "--user", "me", "./rootfs", "ls", "--user", "-x", "--"];
  assert.equal(parseRun(argv), {
    flags: { interactive: true, tty: true, user: "me" },
    rootfs: "./rootfs",
    command: ["ls", "--user", "-x", "--"],
    commandIndex: 4,
  });
  assert.equal(argv.slice(parseRun(argv).commandIndex), ["ls", "--user", "-x", "--"]);
});

test("counts a -- before ROOTFS", () => {
  assert.equal(parseRun(["--init", "--", "-odd-", "sh"]), {
    flags: { init: true },
    rootfs: "-odd-",
    command: ["sh"],
    commandIndex: 3,
  });
  assert.is(parseRun(["/"]).commandIndex, 1);
  assert.is(parseRun(["-", "sh"]).rootfs, "-");
});

test("keeps strings that look like numbers as they are", () => {
  assert.equal(flagsOf("--user", "007", "--hostname=1e3", "-w", "/0x10"), {
    user: "007",
    hostname: "1e3",
    workdir: "/0x10",
  });
});

test("takes values in every way of writing them", () => {
  for (const words of [["-u", "0:5"], ["-u0:5"], ["-u=0:5"], ["--user", "0:5"], ["--user=0:5"]]) {
    assert.equal(flagsOf(...words), { user: "0:5" }, words.join(" "));
  }
  assert.equal(flagsOf("-itu", "x"), { interactive: true, tty: true, user: "x" });
  assert.equal(flagsOf("-turoot"), { tty: true, user: "root" });
});

test("does not touch what is inside a value", () => {
  assert.equal(flagsOf("--env=K=V=W", "-eA=-1", "-e", "-X=1", "-e", "\"q\"='q'").env, [
    "K=V=W",
    "A=-1",
    "-X=1",
    "\"q\"='q'",
  ]);
  assert.equal(flagsOf("--hostname", "--init"), { hostname: "--init" });
  assert.equal(flagsOf("--hostname='x'"), { hostname: "'x'" });
  assert.equal(flagsOf("--sysctl", "net.ipv4.x=1").sysctl, ["net.ipv4.x=1"]);
});

test("never takes ROOTFS for the value of a toggle", () => {
  assert.is(parseRun(["--init", "true", "x"]).rootfs, "true");
  assert.equal(flagsOf("--init=false", "--tty=true", "--no-read-only", "-i=false"), {
    init: false,
    tty: true,
    "read-only": false,
    interactive: false,
  });
});

test("the last of a repeated option counts, lists add up", () => {
  const flags = flagsOf(
    "--user",
    "a",
    "-u",
    "b",
    "--no-init",
    "--init",
    "--cap-add=KILL",
    "--cap-add=CHOWN",
  );
  assert.equal(flags, { user: "b", init: true, "cap-add": ["KILL", "CHOWN"] });
});

test("knows other names", () => {
  assert.equal(flagsOf("--net", "host", "-h", "box"), { network: ["host"], hostname: "box" });
});

const wrong: [string[], RegExp][] = [
  [[], /^sbx: run: no ROOTFS is given\. .*sbx run \/ sh/],
  [["--init", "--"], /no ROOTFS/],
  [["--hostnmae", "x", "/"], /^sbx: --hostnmae: no such option\. Did you mean --hostname\?$/],
  [["--no-inti", "/"], /Did you mean --no-init\?/],
  [["--frobnicate", "/"], /no such option\. --help lists/],
  [["--constructor", "/"], /no such option/],
  [["--__proto__=1", "/"], /no such option/],
  [["-x", "/"], /^sbx: -x: no such option/],
  [["-tx", "/"], /^sbx: -x: no such option, in -tx/],
  [["-cgroupns", "host", "/"], /Did you mean --cgroupns\?/],
  [["--u", "x", "/"], /no such option/],
  [["--no-user", "/"], /--no-user: --user takes a value and cannot be negated/],
  [["--no-init=x", "/"], /takes no value/],
  [["--init=maybe", "/"], /^sbx: --init=maybe: must be true or false/],
  [["--user"], /^sbx: --user: needs a value/],
  [["--user=", "/"], /^sbx: --user: must not be empty/],
  [
    ["--pid", "hots", "/"],
    /^sbx: --pid hots: must be private, host or container:NAME\. Did you mean host\?/,
  ],
  [["--network=bridge", "/"], /no network that is called bridge from the start/],
  [["--umask", "9", "/"], /^sbx: --umask 9: must be an octal number from 0 to 0777/],
  [["--umask", "1777", "/"], /octal/],
  [["--uidmap", "0:1000", "/"], /--uidmap 0:1000: must be three numbers CONTAINER:HOST:SIZE/],
  [["--uidmap", "0:4294967295:1", "/"], /three numbers/],
  [["--gidmap", "0:1:0", "/"], /three numbers/],
  [["--userns", "keepid", "/"], /must be auto, single.*Did you mean keep-id\?/],
  [["--userns", "keep-id:uid=x", "/"], /uid=x is not uid=U/],
  [["--userns", "keep-id:", "/"], /an empty option is not/],
  [["--userns", "auto:size=1", "/"], /auto takes no options/],
  [["--cap-add", "net_admn", "/"], /"net_admn" is no capability\. Did you mean CAP_NET_ADMIN\?/],
  [["--cap-drop", "KILL,", "/"], /"" is no capability/],
  [["--ulimit", "nofiles=1", "/"], /"nofiles" is no limit\. Did you mean nofile\?/],
  [["--ulimit", "nofile", "/"], /TYPE=SOFT/],
  [["--ulimit", "nofile=1:2:3", "/"], /TYPE=SOFT/],
  [["--ulimit", "nofile=2:1", "/"], /soft limit 2 is above the hard limit 1/],
  [["--ulimit", "core=1e3", "/"], /TYPE=SOFT/],
  [["--oom-score-adj", "1001", "/"], /from -1000 to 1000/],
  [["--preserve-fds", "-1", "/"], /from 0 to/],
  [["--status-fd=2", "/"], /from 3 to/],
  [["--sysctl", "net.x", "/"], /NAME=VALUE/],
  [["--env", "=x", "/"], /NAME or NAME=VALUE/],
  [["--env", "LC_*", "/"], /"LC_\*" is no variable's name/],
  [["--entrypoint", '["a"', "/"], /no JSON array/],
  [["--entrypoint", "[1]", "/"], /array of strings/],
  [["--security-opt", "no-new-privilege", "/"], /Did you mean no-new-privileges\?/],
  [["--security-opt", "mask=etc", "/"], /"etc" is no absolute path/],
  [["--security-opt", "no-new-privileges=maybe", "/"], /true or false/],
  [["--time-offset", "1.5", "/"], /--time-offset 1\.5: must be/],
  [["--time-offset", "montonic=1", "/"], /Did you mean monotonic\?/],
  [["--time-offset", "boottime=x", "/"], /"x" is no whole number/],
  [["--workdir", "tmp", "/"], /--workdir tmp: must be an absolute path/],
];

for (const [argv, expected] of wrong) {
  test(`refuses ${argv.join(" ") || "an empty line"}`, () => {
    assert.match(message(...argv), expected);
    assert.not(message(...argv).includes("\n"));
  });
}

test("takes options of a table with more of them", () => {
  const table = {
    ...runOptions,
    stage: { type: "string", nargs: 1, describe: "", group: "", choices: ["spec", "plan"] },
  } as const;
  const { flags } = parseRun(["--stage", "plan", "--init", "/"], table);
  assert.is(flags.stage, "plan");
  assert.throws(() => parseRun(["--stage", "paln", "/"], table), /Did you mean plan\?/);
  assert.throws(() => parseRun(["--stage", "plan", "/"]), /no such option/);
});

test("sees --help only among the options", () => {
  assert.is(asksForHelp(["--init", "--help"]), true);
  assert.is(asksForHelp(["--help", "--frobnicate"]), true);
  assert.is(asksForHelp(["/", "ls", "--help"]), false);
  assert.is(asksForHelp(["--", "--help"]), false);
  assert.is(asksForHelp(["--env", "--help", "/"]), false);
  assert.is(asksForHelp(["-h", "--help", "/"]), false);
  assert.is(asksForHelp(["--frobnicate", "--help"]), false);
});

test("yargs takes the same table, and shows every option in its help", async () => {
  const parser = yargs([]).options(runOptions).exitProcess(false).version(false);
  const help = await parser.getHelp();
  for (const name of Object.keys(runOptions)) assert.match(help, `--${name}`);
  assert.match(help, "-h, --hostname");
  assert.match(help, "Privileges and limits:");
});

/** Flags, and what follows them. */
async function byYargs(argv: readonly string[]) {
  const { _, $0, ...flags } = await yargs([...argv])
    .options(runOptions)
    .help(false)
    .version(false)
    .parserConfiguration({
      "camel-case-expansion": false,
      "halt-at-non-option": true,
      "parse-positional-numbers": false,
      "strip-aliased": true,
    })
    .parse();
  return [flags, _];
}

/** Each option takes one of these. */
const samples =
  `x 1 1000 0:1:1 A=1 net.ipv4.x=1 /a:/b /a nofile=1 KILL host default 1g 10.0.0.1 fe80::1
  02:00:00:00:00:01 a:10.0.0.1 type=tmpfs,dst=/a no-new-privileges /dev/sda:99 max-file=1`.split(
    /\s+/,
  );

/** All ways of giving an option. */
function waysOf(name: string, option: Option): string[][] {
  const spelled = [name, ...aliasesOf(option)];
  const dashed = spelled.map((each) => `${each.length === 1 ? "-" : "--"}${each}`);
  if (option.type === "boolean") {
    return [...dashed, `--no-${name}`, `--${name}=false`, `--${name}=true`].map((each) => [each]);
  }
  const { choices = [], suggestions = [] } = option;
  const value = [...choices, ...suggestions, ...samples].find(
    (each) => message(`--${name}`, each, "/") === "",
  );
  assert.ok(value, `no sample is a value of --${name}`);
  const ways = dashed.flatMap((each) => [[each, value], [`${each}=${value}`]]);
  const letters = dashed.filter((each) => each.length === 2);
  const clusters = letters.flatMap((each) => [[`-it${each[1]}`, value], [`-i${each[1]}=${value}`]]);
  return [...ways, ...clusters, ...(option.array ? [ways.flat()] : [])];
}

test("agrees with yargs on every option, in every way of giving it", async () => {
  for (const [name, option] of Object.entries<Option>(runOptions)) {
    for (const words of waysOf(name, option)) {
      const argv = [...words, "./rootfs", "--user", "x", "-i"];
      const { flags, rootfs, command } = parseRun(argv);
      assert.equal(await byYargs(argv), [{ ...flags }, [rootfs, ...command]], words.join(" "));
    }
  }
});

test("options of a command without a payload stand anywhere, up to a --", () => {
  const table = {
    arch: { type: "string", describe: "", group: "", choices: ["amd64", "arm64"] },
    out: { type: "string", describe: "", group: "", alias: "o" },
    exact: { type: "boolean", describe: "", group: "" },
  } as const;
  const parsed = (line: string) => parseWords(line.split(" "), table);
  assert.equal(parsed("a --arch arm64 -100 -o x b --exact"), {
    flags: { arch: "arm64", out: "x", exact: true },
    words: ["a", "-100", "b"],
  });
  assert.equal(parsed("a - -- --arch -ox"), { flags: {}, words: ["a", "-", "--arch", "-ox"] });
  assert.throws(() => parsed("a --arhc=x"), "--arhc: no such option. Did you mean --arch?");
  assert.throws(() => parsed("a --arch=x86"), "must be amd64 or arm64");
  assert.throws(() => parsed("a -o"), "needs a value");
  assert.throws(() => parsed("a -x"), "-x: no such option. --help lists the options");
});

test.run();

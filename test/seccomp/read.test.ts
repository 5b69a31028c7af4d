import * as assert from "uvu/assert";
import { readProfile } from "../../seccomp/read.js";
import { SbxError } from "../../spec/error.js";
import { suite } from "../support/suite.js";

const test = suite("seccomp/read");

/** The lines of an error for this text, without `sbx: `. */
async function complaints(text: string): Promise<string[]> {
  try {
    await readProfile(text, "p.json");
  } catch (error) {
    if (error instanceof SbxError) return error.message.split("\n").map((line) => line.slice(5));
    throw error;
  }
  return [];
}

const profile = (rest: string) => `{"defaultAction": "SCMP_ACT_ERRNO"${rest}}`;
const withRule = (rule: string) => profile(`, "syscalls": [{${rule}}]`);
const withArg = (arg: string) =>
  withRule(`"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{${arg}}]`);

/** A text, and each line of what is said about it. */
const wrong: [string, RegExp[]][] = [
  ["", [/^p\.json:1:1: is no JSON here: value expected$/]],
  ['{"defaultAction": }', [/^p\.json:1:19: is no JSON here: value expected$/]],
  [
    '{\n  // no\n  "defaultAction": "x"}',
    [/^p\.json:2:3: is no JSON here: invalid comment token$/],
  ],
  ['{"defaultAction": "SCMP_ACT_ALLOW",}', [/^p\.json:1:36: is no JSON here/]],
  ["[".repeat(200_000), [/^p\.json:1:1: is nested too deeply to be read$/]],
  // The parser takes these.
  [`${"[".repeat(3000)}${"]".repeat(3000)}`, [/^p\.json:1:1: is nested too deeply to be read$/]],
  [`${'{"a":'.repeat(2500)}1${"}".repeat(2500)}`, [/^p\.json:1:1: is nested too deeply to be/]],
  ["[]", [/^p\.json:1:1: must be an object, not \[\]$/]],
  ["{}", [/^p\.json:1:1: defaultAction: is missing$/]],
  ['{"defaultAction": null}', [/^p\.json:1:2: defaultAction: is missing$/]],
  [
    '{"defaultAction": "SCMP_ACT_ALOW"}',
    [/^p\.json:1:2: defaultAction: must be one of .*\. Did you mean SCMP_ACT_ALLOW\?$/],
  ],
  ['{"defaultAction": "SCMP_ACT_NOTIFY"}', [/^p\.json:1:2: defaultAction: must not be .* write/]],
  [
    '{"defaultAction": "SCMP_ACT_KILL",\n "defaultAction": "SCMP_ACT_ALLOW"}',
    [/^p\.json:2:2: defaultAction: is given twice/],
  ],
  [profile(', "sycalls": []'), [/: sycalls: no such key\. Did you mean syscalls\?$/]],
  [profile(', "defaultErrnoRet": 4095'), [/: defaultErrnoRet: must be .* 0 to 4094, not 4095$/]],
  [
    profile(', "defaultErrno": "EPREM"'),
    [/: defaultErrno: must be an errno.*Did you mean EPERM\?$/],
  ],
  [profile(', "defaultErrno": "constructor"'), [/: defaultErrno: must be an errno's name/]],
  [profile(', "defaultErrno": "4095"'), [/: defaultErrno: must be .* up to 4094, not "4095"$/]],
  [
    profile(', "defaultErrno": "EPERM", "defaultErrnoRet": 38'),
    [/: defaultErrnoRet: is 38, but the named errno is 1$/],
  ],
  [
    '{"defaultAction": "SCMP_ACT_KILL", "defaultErrnoRet": 1}',
    [/: defaultErrnoRet: has no meaning with SCMP_ACT_KILL$/],
  ],
  [
    '{"defaultAction": "SCMP_ACT_KILL", "defaultErrno": "EPERM"}',
    [/^p\.json:1:36: defaultErrno: has no meaning with SCMP_ACT_KILL$/],
  ],
  [
    profile(', "architectures": ["SCMP_ARCH_X86_46"]'),
    [/: architectures\[0\]: must be one of .*\. Did you mean SCMP_ARCH_X86_64\?$/],
  ],
  [
    profile(
      ', "architectures": ["SCMP_ARCH_X86"], "archMap": [{"architecture": "SCMP_ARCH_X86_64"}]',
    ),
    [/: archMap: excludes architectures\. Give one of the two$/],
  ],
  [profile(', "archMap": [{}]'), [/: archMap\[0\]\.architecture: is missing$/]],
  [
    profile(', "flags": ["SECCOMP_FILTER_FLAG_LOOG"]'),
    [/: flags\[0\]: must be one of .*_FLAG_LOG\?$/],
  ],
  [profile(', "listenerMetadata": "x"'), [/: listenerMetadata: needs a listenerPath$/]],
  [profile(', "syscalls": {}'), [/: syscalls: must be an array, not \{\}$/]],
  [withRule('"action": "SCMP_ACT_ALLOW"'), [/^p\.json:1:50: syscalls\[0\]\.names: is missing$/]],
  [withRule('"names": ["read"]'), [/: syscalls\[0\]\.action: is missing$/]],
  [
    withRule('"names": [], "action": "SCMP_ACT_ALLOW"'),
    [/: syscalls\[0\]\.names: must have at least 1 item$/],
  ],
  [
    withRule('"names": ["read"], "name": "write", "action": "SCMP_ACT_ALLOW"'),
    [/: syscalls\[0\]\.name: excludes names\. Give one of the two$/],
  ],
  [
    withRule('"names": [7, ""], "action": "SCMP_ACT_ALLOW"'),
    [/: syscalls\[0\]\.names\[0\]: must be a string, not 7$/, /names\[1\]: must not be empty/],
  ],
  [
    withRule('"names": ["read", "write"], "action": "SCMP_ACT_NOTIFY"'),
    [/: syscalls\[0\]\.action: must not be SCMP_ACT_NOTIFY for write\. Whoever hands/],
  ],
  [
    withRule('"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4095'),
    [/: syscalls\[0\]\.errnoRet: must be a whole number from 0 to 4094, not 4095$/],
  ],
  [
    withRule('"names": ["read"], "action": "SCMP_ACT_TRACE", "errnoRet": -1'),
    [/: syscalls\[0\]\.errnoRet: must be a whole number from 0 to 4094, not -1$/],
  ],
  [
    withRule('"names": ["read"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1'),
    [/: syscalls\[0\]\.errnoRet: has no meaning with SCMP_ACT_ALLOW$/],
  ],
  [
    withRule(
      '"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMN"]}',
    ),
    [/: syscalls\[0\]\.includes\.caps\[0\]: must be a capability.* Did you mean CAP_SYS_ADMIN\?$/],
  ],
  [
    withRule('"names": ["read"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["x86_64"]}'),
    [/: syscalls\[0\]\.excludes\.arches\[0\]: must be one of x86, amd64/],
  ],
  [
    withRule('"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8.1"}'),
    [
      /: syscalls\[0\]\.includes\.minKernel: must be a kernel's version such as 4\.8, not "4\.8\.1"$/,
    ],
  ],
  [withArg('"index": 6, "value": 0, "op": "SCMP_CMP_EQ"'), [/args\[0\]\.index: .* 0 to 5, not 6$/]],
  [
    withArg('"index": 0, "value": 0, "op": "SCMP_CMP_EG"'),
    [/args\[0\]\.op: must be one of SCMP_CMP_NE, .* not "SCMP_CMP_EG"\. Did you mean/],
  ],
  [
    withArg('"index": 0, "op": "SCMP_CMP_EQ"'),
    [/^p\.json:1:\d+: syscalls\[0\]\.args\[0\]\.value: is missing$/],
  ],
  [
    withArg('"index": 0, "value": 18446744073709551616, "op": "SCMP_CMP_EQ"'),
    [
      /args\[0\]\.value: must be a whole number from 0 to 18446744073709551615, not 18446744073709552000$/,
    ],
  ],
  [withArg('"index": 0, "value": -1, "op": "SCMP_CMP_EQ"'), [/value: must be .*, not -1$/]],
  [withArg('"index": 0, "value": 1.5, "op": "SCMP_CMP_EQ"'), [/value: must be .*, not 1\.5$/]],
  [withArg('"index": 0, "value": "8", "op": "SCMP_CMP_EQ"'), [/value: must be .*, not "8"$/]],
  [
    withArg('"index": 0, "val": 1e400, "value": [9007199254740993], "op": "SCMP_CMP_EQ"'),
    [
      /args\[0\]\.val: no such key\. Did you mean value\?$/,
      /args\[0\]\.value: must be .*, not \[9007199254740992\]$/,
    ],
  ],
];

for (const [text, expected] of wrong) {
  const title = text.length > 90 ? `${text.slice(0, 90)}…` : text;
  test(`what is wrong with ${JSON.stringify(title)}`, async () => {
    const lines = await complaints(text);
    assert.is(lines.length, expected.length, lines.join("\n"));
    for (const [index, pattern] of expected.entries()) assert.match(lines[index] ?? "", pattern);
  });
}

test("all that is wrong is said at once, in several rules too", async () => {
  const lines = await complaints(`{
  "defaultAction": "SCMP_ACT_ALLOW",
  "flags": ["NO"],
  "syscalls": [
    {"names": ["read"], "action": "SCMP_ACT_NO"},
    {"names": ["write"], "action": "SCMP_ACT_NOTIFY"},
    {"names": ["open"], "action": "SCMP_ACT_KILL", "errnoRet": 1, "errnoRet": 2}
  ]
}`);
  assert.equal(
    lines.map((line) => line.split(" ").slice(0, 2).join(" ")),
    [
      "p.json:7:67: syscalls[2].errnoRet:",
      "p.json:3:13: flags[0]:",
      "p.json:5:25: syscalls[0].action:",
      "p.json:6:26: syscalls[1].action:",
      "p.json:7:67: syscalls[2].errnoRet:",
    ],
  );
});

test("integers keep their value up to 2^64 - 1", async () => {
  const text = withRule(`"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [
    {"index": 0, "value": 9007199254740993, "op": "SCMP_CMP_EQ"},
    {"index": 5, "value": 18446744073709551615, "valueTwo": 18446744073709551614,
     "op": "SCMP_CMP_MASKED_EQ"}]`);
  const { rules } = await readProfile(text, "p.json");
  assert.equal(rules[0]?.conditions, [
    { index: 0, op: "EQ", value: 9007199254740993n, valueTwo: 0n },
    { index: 5, op: "MASKED_EQ", value: 2n ** 64n - 1n, valueTwo: 2n ** 64n - 2n },
  ]);
});

test("what podman and runc pass over is passed over: nulls, empty conditions, no rules", async () => {
  const { rules } = await readProfile(
    `{"defaultAction": "SCMP_ACT_KILL_PROCESS", "architectures": null, "flags": null,
      "syscalls": [
        {"name": "read", "names": null, "action": "SCMP_ACT_ALLOW", "args": null, "comment": "c",
         "includes": {}, "excludes": {"caps": null, "arches": [], "minKernel": ""}},
        {"name": "", "names": ["write"], "action": "SCMP_ACT_ERRNO", "errno": "", "args": []}]}`,
    "p.json",
  );
  assert.equal(rules, [
    {
      names: ["read"],
      verdict: 0x7fff0000,
      conditions: [],
      includes: {},
      excludes: { arches: [] },
      at: "p.json:3:9: syscalls[0]",
    },
    {
      names: ["write"],
      verdict: 0x00050001,
      conditions: [],
      includes: {},
      excludes: {},
      at: "p.json:5:9: syscalls[1]",
    },
  ]);
  assert.equal((await readProfile('{"defaultAction": "SCMP_ACT_ALLOW"}', "p.json")).rules, []);
});

test("verdicts: EPERM unless an errno is given by number, name or digits", async () => {
  const verdict = async (rest: string) =>
    (await readProfile(`{"defaultAction": ${rest}}`, "p.json")).defaultVerdict;
  assert.is(await verdict('"SCMP_ACT_KILL"'), 0);
  assert.is(await verdict('"SCMP_ACT_KILL_THREAD"'), 0);
  assert.is(await verdict('"SCMP_ACT_KILL_PROCESS"'), 0x80000000);
  assert.is(await verdict('"SCMP_ACT_TRAP"'), 0x00030000);
  assert.is(await verdict('"SCMP_ACT_ERRNO"'), 0x00050001);
  assert.is(await verdict('"SCMP_ACT_ERRNO", "defaultErrnoRet": 0'), 0x00050000);
  assert.is(await verdict('"SCMP_ACT_ERRNO", "defaultErrnoRet": 4094'), 0x00050ffe);
  assert.is(await verdict('"SCMP_ACT_ERRNO", "defaultErrno": "ENOSYS"'), 0x00050026);
  assert.is(await verdict('"SCMP_ACT_ERRNO", "defaultErrno": "EWOULDBLOCK"'), 0x0005000b);
  assert.is(
    await verdict('"SCMP_ACT_ERRNO", "defaultErrno": "38", "defaultErrnoRet": 38'),
    0x00050026,
  );
  assert.is(await verdict('"SCMP_ACT_TRACE"'), 0x7ff00001);
  assert.is(await verdict('"SCMP_ACT_TRACE", "defaultErrnoRet": 7'), 0x7ff00007);
  assert.is(await verdict('"SCMP_ACT_LOG"'), 0x7ffc0000);
  assert.is(await verdict('"SCMP_ACT_ALLOW"'), 0x7fff0000);
});

test.run();

/** The answerer in a network of namespaces: names, who sees whom, forwarding, and what it is left with. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import fc from "fast-check";
import * as assert from "uvu/assert";
import { errnoNumbers } from "../../spec/linux.js";
import { startAnswerer } from "../support/answerer.js";
import { expectedAnswer, query, reverse } from "../support/dns-message.js";
import { fields, temporaryDirectory } from "../support/inside.js";
import { type Lab, type LabPort, openLab } from "../support/lab.js";
import { suite } from "../support/suite.js";

const test = suite("answerer");

const [first, inner, third] = ["sbxe00000001", "sbxi00000002", "sbxe00000003"] as const;
const gateway = { [first]: "10.89.0.1", [inner]: "10.89.1.1", [third]: "10.89.2.1" } as const;
const ports: LabPort[] = [
  { sandbox: "a", bridge: first, ip4: "10.89.0.2", ip6: "fd00:1::2", names: ["alpha", "web"] },
  {
    sandbox: "b",
    bridge: first,
    ip4: "10.89.0.3",
    ip6: "fd00:1::a:3",
    names: ["Beta.Two", "web", "db"],
  },
  { sandbox: "b", bridge: inner, ip4: "10.89.1.2", ip6: null, names: ["Beta.Two", "inner"] },
  { sandbox: "c", bridge: inner, ip4: "10.89.1.3", ip6: null, names: ["gamma", "WEB"] },
  { sandbox: "d", bridge: third, ip4: null, ip6: "fd00:3::2", names: ["alpha", "delta"] },
];
/** From these, where nobody is, many queries can be sent. */
const more = Array.from({ length: 16 }, (_, index) => `10.89.0.${100 + index}`);
const upstreams = {
  good: "192.0.2.53",
  other: "192.0.2.54",
  good6: "2001:db8::53",
  dead: "192.0.2.99",
};

let lab: Lab;
const requirements = ["user namespaces", "ip", "dig"] as const;
/** A script of test/support, started from the root directory, which nsenter(1) goes to. */
const script = (file: string) => [
  process.execPath,
  "--import",
  import.meta.resolve("tsx"),
  join(import.meta.dirname, "../support", file),
];

/** A lab of its own for this file, made by the first test. */
async function opened(): Promise<Lab> {
  if (lab !== undefined) return lab;
  lab = await openLab(
    [
      { name: first, gateways: ["10.89.0.1/24", "fd00:1::1/64"] },
      { name: inner, gateways: ["10.89.1.1/24"] },
      { name: third, gateways: ["10.89.2.1/24", "fd00:3::1/64"] },
    ],
    ports,
  );
  await lab.ip([
    "netns add up",
    "link add uplink type veth peer name eth0 netns up",
    "link set uplink up",
    "addr add 192.0.2.1/24 dev uplink",
    "addr add 2001:db8::1/64 dev uplink nodad",
    "-n up link set lo up",
    ...[upstreams.good, upstreams.other].map((ip) => `-n up addr add ${ip}/24 dev eth0`),
    `-n up addr add ${upstreams.good6}/64 dev eth0 nodad`,
    "-n up link set eth0 up",
    ...more.map((ip) => `-n a addr add ${ip}/24 dev eth0`),
  ]);
  return lab;
}

test.after(() => lab?.close());

/** Runs the body beside an answerer, which must be there to the end and then go when it is asked to. */
async function answering(
  ips: readonly string[],
  body: (pid: number, lab: Lab) => Promise<void>,
  around: readonly string[] = [],
): Promise<void> {
  const answerer = await startAnswerer(await opened(), ips, around);
  try {
    assert.is(answerer.errno, 0);
    await body(answerer.pid, lab);
  } finally {
    assert.is(await answerer.stop(), 0, "it has lived until its channel was closed");
  }
}

/** dig(1) from a sandbox: the status and the data of the answers, as `NOERROR 10.89.0.2`. */
async function dig(sandbox: string, server: string, ...words: readonly string[]): Promise<string> {
  const out = await lab.run(sandbox, ["dig", "+tries=1", "+time=9", `@${server}`, ...words]);
  const status = /status: (\w+)/.exec(out)?.[1];
  const cut = /flags:[^;]* tc[ ;]/.test(out) ? ["cut"] : [];
  const data = [...out.matchAll(/^[^;\s]\S*\s+\d+\s+IN\s+\w+\s+(\S+)$/gm)].map(([, word]) => word);
  return [status, ...cut, ...data].join(" ");
}

/** Starts a resolver; `seen` has what it was asked for. */
async function startUpstream(ip: string): Promise<{ seen: string[]; child: ChildProcess }> {
  const child = lab.spawn("up", [...script("dns-upstream.ts"), ip], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const seen: string[] = [];
  if (child.stdout === null) throw new Error("no pipe");
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => seen.push(line));
  await once(lines, "line");
  seen.length = 0;
  return { seen, child };
}

test.needs(requirements, "names, addresses, and the way back", async () => {
  await answering([], async () => {
    const at = gateway[first];
    for (const [words, expected] of [
      [["alpha"], "NOERROR 10.89.0.2"],
      [["ALPHA.sbx.Internal"], "NOERROR 10.89.0.2"],
      [["beta.two"], "NOERROR 10.89.0.3"],
      [["beta.two", "AAAA"], "NOERROR fd00:1::a:3"],
      [["web"], "NOERROR 10.89.0.2 10.89.0.3"],
      [["web", "AAAA"], "NOERROR fd00:1::2 fd00:1::a:3"],
      [["web", "MX"], "NOERROR"],
      [["-x", "10.89.0.3"], "NOERROR Beta.Two."],
      [["-x", "fd00:1::a:3"], "NOERROR Beta.Two."],
      [["nobody.sbx.internal"], "NXDOMAIN"],
      [["sbx.internal", "NS"], "NXDOMAIN"],
      [["alph"], "SERVFAIL"],
      [["alphaa"], "SERVFAIL"],
      [["two"], "SERVFAIL"],
      [["."], "SERVFAIL"],
      [["alpha", "AXFR", "+noall", "+comments"], "REFUSED"],
      [["-c", "CH", "alpha"], "REFUSED"],
      [["+opcode=2", "alpha"], "NOTIMP"],
    ] as const) {
      for (const more of [["+notcp"], ["+tcp"]]) {
        assert.is(await dig("a", at, ...words, ...more), expected, [...words, ...more].join(" "));
      }
    }
    assert.is(await dig("a", "fd00:1::1", "alpha"), "NOERROR 10.89.0.2");
    assert.is(await dig("a", "fd00:1::1", "+tcp", "alpha"), "NOERROR 10.89.0.2");
    assert.match(await lab.run("a", ["dig", `@${at}`, "aLPHa"]), /^aLPHa\.\s+0\s+IN\s+A\s/m);
  });
});

test.needs(requirements, "who shares no network is not there, but for those on both", async () => {
  await answering([], async () => {
    const [one, two, three] = [gateway[first], gateway[inner], "fd00:3::1"];
    assert.is(await dig("a", one, "gamma"), "SERVFAIL");
    assert.is(await dig("a", one, "inner"), "SERVFAIL");
    assert.is(await dig("a", one, "-x", "10.89.1.3"), "SERVFAIL");
    assert.is(await dig("b", one, "gamma"), "NOERROR 10.89.1.3");
    assert.is(await dig("b", one, "-x", "10.89.1.3"), "NOERROR gamma.");
    assert.is(await dig("b", two, "alpha"), "NOERROR 10.89.0.2");
    assert.is(await dig("b", one, "+tcp", "web"), "NOERROR 10.89.0.2 10.89.0.3 10.89.1.3");
    assert.is(await dig("c", two, "inner"), "NOERROR 10.89.1.2");
    assert.is(await dig("c", two, "beta.two"), "NOERROR 10.89.1.2");
    assert.is(await dig("d", three, "alpha", "AAAA"), "NOERROR fd00:3::2");
    assert.is(await dig("d", three, "alpha"), "NOERROR");
    assert.is(await dig("d", three, "web"), "SERVFAIL");
    // On a link that is no network of ours nobody is answered.
    const silent = await lab.attempt("up", ["dig", "+tries=1", "+time=1", "@192.0.2.1", "alpha"]);
    assert.match(silent.stdout, /timed out|no servers could be reached/);
    const closed = await lab.attempt("up", [
      "dig",
      "+tcp",
      "+tries=1",
      "+time=1",
      "@192.0.2.1",
      "alpha",
    ]);
    assert.match(closed.stdout, /end of file|no servers could be reached/);
  });
});

test.needs(requirements, "changes of links are known at once", async () => {
  await answering([], async () => {
    const ask = (name: string) => dig("a", gateway[first], name);
    assert.is(await ask("late"), "SERVFAIL");
    await lab.ip([
      "link add late0 type veth peer name late1",
      `link set late0 up master ${first} alias "10.89.0.9 - late"`,
    ]);
    assert.is(await ask("late"), "NOERROR 10.89.0.9");
    await lab.ip([`link set late0 alias "10.89.0.10 fd00::1:2:3:4 later late"`]);
    assert.is(await ask("late"), "NOERROR 10.89.0.10");
    for (const [written, meant] of [
      ["::1", "::1"],
      ["fd00::", "fd00::"],
      ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
      ["fd00:0:0:1:0::2:0", "fd00::1:0:0:2:0"],
    ]) {
      await lab.ip([`link set late0 alias "10.89.0.10 ${written} late"`]);
      assert.is(await dig("a", gateway[first], "late", "AAAA"), `NOERROR ${meant}`);
    }
    for (const odd of [
      "",
      " ",
      "10",
      "10.89.0.10",
      "x y",
      "10.89.0.300 :: ",
      "1.2.3.4 1:2:3:4:5:6:7:8:9:a:b late",
    ]) {
      await lab.ip([`link set late0 alias "${odd}"`]);
      assert.is(await ask("alpha"), "NOERROR 10.89.0.2", odd);
    }
    await lab.ip([`link set late0 nomaster alias "10.89.0.10 - late"`]);
    assert.is(await ask("late"), "SERVFAIL");
    await lab.ip(["link del late0"]);
    assert.is(await ask("alpha"), "NOERROR 10.89.0.2");
  });
});

test.needs(requirements, "many of one name, cut off over UDP", async () => {
  await answering([], async () => {
    const count = 60;
    const numbers = Array.from({ length: count }, (_, index) => index);
    const alias = (index: number) =>
      `10.90.0.${index} fd00:9::${index.toString(16)} n${index} many`;
    await lab.ip(
      numbers.flatMap((index) => [
        `link add m${index} type veth peer name p${index}`,
        `link set m${index} master ${first} alias "${alias(index)}"`,
      ]),
    );
    try {
      const at = gateway[first];
      assert.is((await dig("a", at, "+tcp", "many", "AAAA")).split(" ").length, 1 + count);
      const words = (await dig("a", at, "+ignore", "many")).split(" ");
      assert.equal(words.slice(0, 3), ["NOERROR", "cut", "10.90.0.0"]);
      assert.is(words.length, 2 + Math.floor((512 - 12 - 10) / 16));
      assert.is(await dig("a", at, "n59"), "NOERROR 10.90.0.59");
    } finally {
      await lab.ip(numbers.map((index) => `link del m${index}`));
    }
  });
});

test.needs(
  requirements,
  "what it does not know goes upstream, as it is, and comes back",
  async () => {
    await opened();
    const upstream = await startUpstream(upstreams.good);
    const upstream6 = await startUpstream(upstreams.good6);
    try {
      for (const [ip, { seen }] of [
        [upstreams.good, upstream],
        [upstreams.good6, upstream6],
      ] as const) {
        await answering([ip], async () => {
          const at = gateway[first];
          assert.is(await dig("a", at, "example.org"), "NOERROR 198.51.100.7");
          assert.is(await dig("a", "fd00:1::1", "Example.org"), "NOERROR 198.51.100.7");
          assert.is(await dig("a", at, "+tcp", "example.org"), "NOERROR 198.51.100.7");
          assert.is(await dig("a", at, "+ignore", "big.example"), "NOERROR cut 198.51.100.7");
          assert.match(await lab.run("a", ["dig", `@${at}`, "+tcp", "big.example"]), /rcvd: 60045/);
          assert.is(await dig("a", at, "false.example"), "NOERROR 198.51.100.7");
          assert.is(await dig("a", at, "fails.example"), "SERVFAIL 198.51.100.7");
          assert.is(await dig("a", at, "unread.example"), "FORMERR");
          const names = [
            "udp example.org",
            "udp Example.org",
            "tcp example.org",
            "udp big.example",
          ];
          assert.equal(seen.splice(0).slice(0, 4), names);
          assert.is(await dig("c", gateway[inner], "example.org"), "NXDOMAIN");
          assert.is(await dig("b", gateway[inner], "example.org"), "NXDOMAIN");
          assert.is(await dig("c", gateway[inner], "+tcp", "-x", "192.0.2.1"), "NXDOMAIN");
          assert.is(await dig("a", at, "nobody.sbx.internal"), "NXDOMAIN");
          assert.is(await dig("a", at, "alpha"), "NOERROR 10.89.0.2");
          assert.equal(
            seen,
            [],
            "an internal network asks nobody, and names of ours are asked of nobody",
          );
        });
      }
    } finally {
      upstream.child.kill();
      upstream6.child.kill();
    }
  },
);

test.needs(
  requirements,
  "upstreams are asked in turn, and the one that answers first",
  async () => {
    await opened();
    const one = await startUpstream(upstreams.good);
    try {
      for (const dead of [upstreams.dead, upstreams.other]) {
        await answering([dead, upstreams.good], async () => {
          for (const tcp of ["+notcp", "+tcp"]) {
            for (const round of [1, 2]) {
              const started = performance.now();
              assert.is(await dig("a", gateway[first], tcp, "example.org"), "NOERROR 198.51.100.7");
              const milliseconds = performance.now() - started;
              // Only the first query waits for one that says nothing: the others begin with who answered.
              const waits = dead === upstreams.dead && tcp === "+notcp" && round === 1;
              assert.is(milliseconds > 1900, waits, `${milliseconds} ms`);
            }
          }
          assert.is(await dig("a", gateway[first], "silent.example"), "SERVFAIL");
        });
      }
    } finally {
      one.child.kill();
    }
    await answering([upstreams.dead, upstreams.other], async () => {
      assert.is(await dig("a", gateway[first], "example.org"), "SERVFAIL");
      assert.is(await dig("a", gateway[first], "+tcp", "example.org"), "SERVFAIL");
      assert.is(await dig("a", gateway[first], "alpha"), "NOERROR 10.89.0.2");
    });
  },
);

test.needs(requirements, "what it is left with", async () => {
  await answering([upstreams.good], async (pid) => {
    await dig("a", gateway[first], "alpha");
    const status = fields(readFileSync(`/proc/${pid}/status`, "utf8"));
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
      assert.is(status[set], "0000000000000000", set);
    }
    assert.is(status.NoNewPrivs, "1");
    assert.is(status.Seccomp, "2");
    const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    assert.is(open.length, 4);
    assert.ok(
      open.every((file) => file.startsWith("socket:")),
      open.join(),
    );
    const { Pss = "" } = fields(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
    assert.ok(Number.parseInt(Pss, 10) < 100, Pss);
    const second = await startAnswerer(lab, []);
    assert.is(second.errno, errnoNumbers.EADDRINUSE);
    assert.is(await second.stop(), 1);
  });
});

test.needs([...requirements, "strace"], "without IPv6 in the kernel", async () => {
  const around = [
    "strace",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "inject=socket:error=EAFNOSUPPORT:when=1",
  ];
  await opened();
  const answerer = await startAnswerer(lab, [], around);
  assert.is(answerer.errno, 0);
  assert.is(await dig("b", gateway[first], "web"), "NOERROR 10.89.0.2 10.89.0.3 10.89.1.3");
  assert.is(await dig("b", gateway[first], "+tcp", "gamma"), "NOERROR 10.89.1.3");
  assert.is(await answerer.stop(), 0);
});

/** Sends packets from a sandbox, and gives what comes back for each: see test/support/dns-client.ts. */
function client(sandbox: string, server: string, addresses: readonly string[]) {
  const child = lab.spawn(sandbox, [...script("dns-client.ts"), server, ...addresses], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  if (child.stdin === null || child.stdout === null) throw new Error("no pipes");
  const { stdin } = child;
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(packets: readonly Uint8Array[]): Promise<string[]> {
      stdin.write(`${packets.map((packet) => Buffer.from(packet).toString("hex")).join(" ")}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error("the client has ended");
      return (value as string).split(" ");
    },
    close: () => stdin.end(),
  };
}

const words = [
  ...ports.flatMap(({ names, ip4, ip6 }) => [
    ...names,
    ...[ip4, ip6].flatMap((ip) => (ip === null ? [] : [reverse(ip)])),
  ]),
  "nobody",
  "sbx.internal",
  "alpha.sbx.internal",
  reverse("::"),
  reverse("0.0.0.0"),
  "010.0.89.10.in-addr.arpa",
  "2.0.89.10.in-addr.arpa.sbx.internal",
  "2.0.89.10.x.in-addr.arpa",
  "x".repeat(63),
];
const cased = fc
  .tuple(fc.constantFrom(...words), fc.infiniteStream(fc.boolean()))
  .map(([word, upper]) =>
    [...word].map((letter) => (upper.next().value ? letter.toUpperCase() : letter)).join(""),
  );
const label = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 63 }),
  fc
    .constantFrom("alpha", "a.b", "alpha ", "web\0", "sbx", "internal")
    .map((word) => Buffer.from(word)),
);
const sound = fc
  .tuple(
    fc.oneof(
      { weight: 3, arbitrary: cased.map((word) => word.split(".")) },
      { weight: 1, arbitrary: fc.array(label, { maxLength: 9 }) },
    ),
    fc.constantFrom(1, 1, 28, 12, 15, 251, 252, 255, 257),
    fc.nat(0xffff),
  )
  .map(([labels, kind, id]) => query(labels as (string | Uint8Array)[], kind, id));
/** Bytes of a sound query changed, cut off, or added. */
const mutated = fc
  .tuple(
    sound,
    fc.array(fc.tuple(fc.nat(1000), fc.nat(255)), { maxLength: 4 }),
    fc.option(fc.nat(600)),
    fc.oneof(fc.constant(new Uint8Array()), fc.uint8Array({ maxLength: 600 })),
  )
  .map(([packet, changes, cut, tail]) => {
    const bytes = Buffer.concat([packet, tail]);
    for (const [at, byte] of changes) bytes[at % packet.length] = byte;
    return bytes.subarray(0, cut ?? undefined);
  });
const packet = fc.oneof(
  { weight: 3, arbitrary: sound },
  { weight: 3, arbitrary: mutated },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 600 }) },
);

test.needs(requirements, "any packet is answered as the rules say, or not at all", async () => {
  await answering([], async () => {
    const clients = [
      { bridge: first, addresses: more, at: gateway[first], from: "a" },
      { bridge: first, addresses: ["10.89.0.3"], at: gateway[first], from: "b" },
      { bridge: inner, addresses: ["10.89.1.3"], at: gateway[inner], from: "c" },
      { bridge: third, addresses: ["fd00:3::2"], at: "fd00:3::1", from: "d" },
    ] as const;
    for (const { bridge, addresses, at, from } of clients) {
      const { ask, close } = client(from, at, addresses);
      const room = 512;
      const asked = { ports, bridge, client: addresses[0], room };
      const runs = addresses.length > 1 ? 150 : 15;
      await fc.assert(
        fc.asyncProperty(fc.array(packet, { minLength: 20, maxLength: 20 }), async (packets) => {
          const expected = packets.map((bytes) => {
            const message = Buffer.from(bytes);
            const answer = expectedAnswer(message, asked);
            if (answer === "drop") return "-";
            if (answer !== "forward") return answer.toString("hex");
            // There is no upstream.
            const failed = expectedAnswer(message, {
              ...asked,
              ports: [],
              bridge: "sbxi",
              room,
            }) as Buffer;
            failed[2] = (failed[2] as number) & ~4;
            failed[3] = 0x82;
            return failed.toString("hex");
          });
          assert.equal(await ask(packets), expected);
        }),
        { numRuns: runs },
      );
      close();
    }
  });
});

test.needs(requirements, "100,000 hostile packets, and others are answered meanwhile", async () => {
  await answering([], async () => {
    const flood = lab.spawn(
      "a",
      [...script("dns-flood.ts"), gateway[first], "100000", ...more, "10.89.0.2"],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const ended = once(flood, "exit");
    await once(createInterface({ input: flood.stdout as Readable }), "line");
    let answered = 0;
    while (flood.exitCode === null) {
      // The answer may be lost, but not for ever.
      const patient = ["+tries=9", "+time=1"];
      assert.is(await dig("b", gateway[first], ...patient, "alpha"), "NOERROR 10.89.0.2");
      assert.is(await dig("c", gateway[inner], ...patient, "gamma"), "NOERROR 10.89.1.3");
      answered += 2;
      await Promise.race([ended, new Promise((done) => setTimeout(done, 50))]);
    }
    assert.equal(await ended, [0, null]);
    assert.ok(answered >= 2, `${answered} were answered meanwhile`);
    assert.is(await dig("a", gateway[first], "+tries=3", "alpha"), "NOERROR 10.89.0.2");
  });
});

test.needs(
  requirements,
  "connections: many queries on one, nonsense, and clients that say nothing or do not read",
  async () => {
    await opened();
    const upstream = await startUpstream(upstreams.good);
    try {
      await answering([upstreams.good], async () => {
        const words = [...script("dns-streams.ts"), gateway[first]];
        const out = await lab.run("a", words, { timeoutMs: 60_000 });
        assert.equal(out.trim().split("\n"), [
          "sound: NOERROR NOERROR NOERROR NOTIMP",
          "byte by byte: NOERROR",
          "too short: closed",
          "too long: closed",
          "not read: closed",
          "silent: at most 32 of 200 left",
        ]);
        assert.is(await dig("b", gateway[first], "+tcp", "alpha"), "NOERROR 10.89.0.2");
      });
    } finally {
      upstream.child.kill();
    }
  },
);

test.needs([...requirements, "busybox"], "resolvers of glibc and busybox", async () => {
  await answering([], async () => {
    const resolv = join(temporaryDirectory("resolv"), "resolv.conf");
    writeFileSync(resolv, `nameserver ${gateway[first]}\nsearch example.org\n`);
    const command = [
      `mount --bind ${resolv} /etc/resolv.conf`,
      "getent ahostsv4 web | cut -d' ' -f1 | sort -u",
      "getent ahostsv6 beta.two | cut -d' ' -f1 | sort -u",
      "getent hosts 10.89.0.3",
      "busybox nslookup alpha.sbx.internal",
    ].join(" && ");
    const out = await lab.run("a", ["unshare", "-m", "sh", "-c", command]);
    assert.match(out, /^10\.89\.0\.2\n10\.89\.0\.3\nfd00:1::a:3\n10\.89\.0\.3 +Beta\.Two\n/);
    assert.match(out, /Name:\s+alpha\.sbx\.internal\n(?:.*\n)?Address.*10\.89\.0\.2/);
  });
});

test.run();

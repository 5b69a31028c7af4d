/** Sandboxes on networks: who reaches whom, by which addresses, and what is left of it all. */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { attempt, compileTo, temporaryDirectory } from "../support/inside.js";
import { endSiblings, keeper, sibling, siblingOf, useNetworks } from "../support/networks.js";
import { busyboxRootfs } from "../support/rootfs.js";
import { sbx } from "../support/sandbox.js";
import { childrenOf } from "../support/started.js";
import { suite } from "../support/suite.js";
import { until } from "../support/until.js";

const test = suite("networks");
const needs = ["unprivileged", "user namespaces", "busybox", "overlay"] as const;

useNetworks("networks", [
  { name: "one" },
  { name: "two", subnet6: "fd00:5b:2::/64", gateway6: "fd00:5b:2::1" },
  { name: "tiny", internal: true, subnet: "10.89.9.0/29", gateway: "10.89.9.1" },
]);

/** A program that is on the network `one`: what starts from it does so at once. */
const onOne = () =>
  compileTo(join(temporaryDirectory("on-one"), "program"), ["--network=one", busyboxRootfs()]);

const addresses = "ip -o addr show scope global | awk '{print $2, $4}'";
const pings = (address: string) => `ping -c1 -W1 ${address} >/dev/null && echo yes || echo no`;

test.after.each(endSiblings);

/** Nothing holds networks that nobody is on. */
async function nothingIsLeft(): Promise<void> {
  await until("the keeper has ended", () => keeper() === null);
}

test.needs(needs, "siblings reach one another, and nobody of another network", async () => {
  const first = await sibling(["--network=one"], addresses);
  assert.is(first.said, "eth0 10.89.0.2/24\n");
  const other = await sibling(["--network=two"], addresses);
  assert.is(other.said, "eth0 10.89.1.2/24\neth0 fd00:5b:2::2/64\n");
  const { stdout, stderr } = await attempt(
    ["--network=one"],
    [addresses, ...["10.89.0.2", "10.89.0.1", "10.89.1.2", "10.89.1.1"].map(pings)].join("\n"),
  );
  assert.equal([stdout, stderr], ["eth0 10.89.0.3/24\nyes\nyes\nno\nno\n", ""]);
  const six = await attempt(
    ["--network=two"],
    `${pings("fd00:5b:2::2")}\n${pings("fd00:5b:2::1")}`,
  );
  assert.is(six.stdout, "yes\nyes\n");
  assert.is.not(keeper(), null);
  await Promise.all([first.end(), other.end()]);
  await nothingIsLeft();
});

test.needs(needs, "every group may send pings", async () => {
  const range = "cat /proc/sys/net/ipv4/ping_group_range";
  const { stdout } = await attempt(["--network=one", "--userns=single"], range);
  assert.is(stdout, "0\t0\n");
});

test.needs(
  needs,
  "several networks are several interfaces; the first with a way out has the route",
  async () => {
    const { stdout } = await attempt(
      ["--network=tiny", "--network=two"],
      `${addresses}\nip route | grep default\nip -6 route | grep -c default`,
    );
    assert.is(
      stdout,
      "eth0 10.89.9.2/29\neth1 10.89.1.2/24\neth1 fd00:5b:2::2/64\ndefault via 10.89.1.1 dev eth1 \n1\n",
    );
    await nothingIsLeft();
  },
);

test.needs(needs, "addresses that are asked for are had, or it is an error", async () => {
  const options = ["--network=two:ip=10.89.1.9,ip6=fd00:5b:2::99,mac=02:00:00:00:00:09"];
  const first = await sibling(options, `${addresses}; cat /sys/class/net/eth0/address`);
  assert.is(first.said, "eth0 10.89.1.9/24\neth0 fd00:5b:2::99/64\n02:00:00:00:00:09\n");
  const taken = async (option: string) => {
    const { code, stderr } = await attempt([option], "true");
    return [code, stderr];
  };
  assert.equal(await taken("--network=two:ip=10.89.1.9"), [
    125,
    "sbx: connect eth0 to the network two as 10.89.1.9: another sandbox has that address. Choose another with --ip or --ip6: `sbx network inspect two` tells who has it\n",
  ]);
  assert.is((await taken("--network=two:ip6=fd00:5b:2::99"))[0], 125);
  assert.match(`${await taken("--network=two:ip=10.89.1.1")}`, "it is the address of the gateway");
  assert.match(
    `${await taken("--network=two:ip=10.89.2.1")}`,
    "it is none for a sandbox in 10.89.1.0/24",
  );
  await first.end();
  await nothingIsLeft();
});

test.needs(
  needs,
  "a full network is an error; an address is free when its sandbox is gone",
  async () => {
    const all = [];
    for (const _ of [2, 3, 4, 5, 6]) all.push(await sibling(["--network=tiny"], addresses));
    assert.equal(
      all.map(({ said }) => said),
      [2, 3, 4, 5, 6].map((last) => `eth0 10.89.9.${last}/29\n`),
    );
    const { code, stderr } = await attempt(["--network=tiny"], "true");
    assert.equal(
      [code, stderr.split(". ")[0]],
      [125, "sbx: connect eth0 to the network tiny: every address is taken"],
    );
    await all[1]?.end();
    const { stdout } = await attempt(["--network=tiny"], addresses);
    assert.is(stdout, "eth0 10.89.9.3/29\n");
    await Promise.all(all.map(({ end }) => end()));
    await nothingIsLeft();
  },
);

test.needs(needs, "fifty at once get fifty addresses", async () => {
  const program = await onOne();
  const all = await Promise.all(Array.from({ length: 50 }, () => siblingOf([program], addresses)));
  const got = new Set(all.map(({ said }) => said));
  assert.is(got.size, 50);
  assert.ok(
    [...got].every((said) => /^eth0 10\.89\.0\.\d+\/24\n$/.test(said)),
    [...got].join(""),
  );
  await Promise.all(all.map(({ end }) => end()));
  await nothingIsLeft();
});

const network = async (...words: string[]) => {
  const { code, stdout, stderr } = await sbx(["network", ...words]);
  return [code, `${stdout}${stderr}`];
};

test.needs(needs, "running sandboxes are connected and disconnected", async () => {
  const first = await sibling(["--network=one", "--name=first"], "true");
  const other = await sibling(["--network=two", "--name=other"], "true");
  const asks = `nslookup zed 10.89.1.1 | grep -A1 ^Name:; ${pings("10.89.1.3")}`;
  assert.equal(await network("connect", "two", "first", "--alias=zed"), [0, ""]);
  const { stdout } = await attempt(["--network=two"], asks);
  assert.match(stdout, /Address: 10\.89\.1\.3\n[\s\S]*yes\n$/);
  assert.match(`${await network("connect", "two", "first")}`, "it is on it already");
  assert.match(`${await network("rm", "two")}`, "first, other are on it");
  assert.equal(await network("disconnect", "two", "first"), [0, ""]);
  assert.match(`${await network("disconnect", "two", "first")}`, "it is not on that network");
  assert.match(
    `${await network("connect", "two", "first", "--ip=10.89.1.2")}`,
    "another sandbox has",
  );
  const alone = await sibling(["--network=none", "--name=alone"], "true");
  assert.match(`${await network("connect", "two", "alone")}`, "it was started without networks");
  await Promise.all([first, other, alone].map(({ end }) => end()));
  await nothingIsLeft();
});

test.needs(needs, "a network that is removed leaves no bridge to those that live on", async () => {
  const first = await sibling(["--network=one"], "true");
  const made = ["create", "--subnet=10.77.0.0/24", "again"];
  for (const _ of [1, 2]) {
    assert.equal(await network(...made), [0, "again\n"]);
    const { stdout } = await attempt(["--network=again"], `${addresses}; ${pings("10.77.0.1")}`);
    assert.is(stdout, "eth0 10.77.0.2/24\nyes\n");
    assert.equal(await network("rm", "again"), [0, "again\n"]);
  }
  await first.end();
  await nothingIsLeft();
});

/** The children of the keeper by name, which of pasta is that of its program, passt. */
function helpers(): Record<string, number> {
  const pid = keeper();
  if (pid === null) return {};
  const nameOf = (child: number) =>
    readFileSync(`/proc/${child}/comm`, "utf8").trim().split(".")[0] ?? "";
  return Object.fromEntries(
    whileThere(() => childrenOf(pid), []).flatMap((child) =>
      whileThere<[string, number][]>(() => [[nameOf(child), child]], []),
    ),
  );
}

/** What is read of a process, or done to it; the other thing where it has ended meanwhile. */
function whileThere<T>(act: () => T, ended: T): T {
  try {
    return act();
  } catch (error) {
    if (!["ENOENT", "ESRCH"].includes(`${(error as NodeJS.ErrnoException).code}`)) throw error;
    return ended;
  }
}

test.needs(
  [...needs, "pasta", "tun"],
  "an answerer and an uplink that end are replaced",
  async () => {
    const first = await sibling(["--network=one", "--name=first"], "true");
    const before = helpers();
    assert.equal(Object.keys(before).sort(), ["passt", "sbx-names"]);
    for (const pid of Object.values(before)) process.kill(pid, "SIGKILL");
    const isNew = (name: string) => (helpers()[name] ?? before[name]) !== before[name];
    await until("both are there again", () => isNew("passt") && isNew("sbx-names"));
    const { stdout } = await attempt(
      ["--network=one"],
      "nslookup first 10.89.0.1 | grep -A1 Name:",
    );
    assert.match(stdout, "Name:\tfirst\nAddress: 10.89.0.2");
    assert.is(first.stderr(), "");
    await first.end();
    await nothingIsLeft();
  },
);

test.needs(
  needs,
  "a keeper that is killed is told of; the next sandbox starts another",
  async () => {
    const first = await sibling(["--network=one"], "true");
    const old = { ...helpers() };
    process.kill(keeper() ?? 0, "SIGKILL");
    await until("all that it had started has ended", () =>
      Object.values(old).every((pid) => !existsSync(`/proc/${pid}/ns/net`)),
    );
    await until("it is told", () => first.stderr().endsWith("\n"));
    assert.is(
      first.stderr(),
      "sbx: the holder of networks has ended, and the sandbox goes on without them: start it anew\n",
    );
    const { stdout } = await attempt(["--network=one"], addresses);
    assert.is(stdout, "eth0 10.89.0.2/24\n");
    await first.end();
    await nothingIsLeft();
  },
);

test.needs(needs, "a keeper that is stopped is not waited for without end", async () => {
  const first = await sibling(["--network=one"], "");
  const pid = keeper() ?? 0;
  process.kill(pid, "SIGSTOP");
  try {
    const { code, stderr } = await sbx(["run", "--network=one", busyboxRootfs(), "true"], {
      timeoutMs: 60_000,
    });
    assert.is(code, 125);
    assert.match(stderr, /^sbx: .*networks\.sock: .*ETIMEDOUT\)\. Your process sbx-networks is/);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await first.end();
  await nothingIsLeft();
});

test.needs(needs, "nothing is left after a SIGKILL of whoever at any moment", async () => {
  const program = await onOne();
  for (let round = 0; round < 12; round++) {
    const started = [1, 2, 3].map(() => {
      return spawn(program, ["sleep", "600"], { stdio: "ignore" });
    });
    await sleep(Math.random() * 300);
    const pids = [keeper(), ...Object.values(helpers()), ...started.map(({ pid }) => pid)];
    const victim = pids.filter((pid) => typeof pid === "number")[round % pids.length];
    if (victim !== undefined) whileThere(() => process.kill(victim, "SIGKILL"), false);
    await sleep(Math.random() * 100);
    for (const child of started) child.kill("SIGKILL");
    await nothingIsLeft();
  }
});

test.run();

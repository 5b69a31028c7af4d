/** Which ids there are in a sandbox, who the payload is, and whom its files belong to outside. */
import * as fs from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { attempt, fields, inside, refusal, temporaryDirectory } from "../support/inside.js";
import { busyboxRootfs, copyBusyboxRootfs, debianRootfs } from "../support/rootfs.js";
import { suite } from "../support/suite.js";

const test = suite("identity");
const { uid, gid, username } = userInfo();
const full = ["unprivileged", "user namespaces", "subids", "busybox"] as const;
const plain = ["unprivileged", "user namespaces", "busybox"] as const;

type Line = readonly [inside: number, outside: number, size: number];

/** The caller's ranges of /etc/subuid or /etc/subgid, in file order. */
function subids(file: string): (readonly [start: number, size: number])[] {
  return fs
    .readFileSync(file, "utf8")
    .split("\n")
    .flatMap((line) => {
      const [owner, start, size] = line.split(":");
      return owner === username || owner === `${uid}` ? [[Number(start), Number(size)]] : [];
    });
}

/** The lines for `own` standing for the caller, and all other ids inside for the subordinate ones. */
function expectedMap(file: string, caller: number, own: number | null): Line[] {
  const lines: Line[] = own === null ? [] : [[own, caller, 1]];
  let next = 0;
  for (let [start, size] of subids(file)) {
    while (size > 0) {
      if (next === own) next += 1;
      const room = own !== null && next < own ? Math.min(size, own - next) : size;
      lines.push([next, start, room]);
      [next, start, size] = [next + room, start + room, size - room];
    }
  }
  return lines.sort(([a], [b]) => a - b);
}

function parseMap(text: string): number[][] {
  return text
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
}

async function mapsOf(...options: string[]) {
  const text = await inside(
    options,
    "cat /proc/self/uid_map; echo =; cat /proc/self/gid_map; echo =; cat /proc/self/setgroups; id -u; id -g",
  );
  const [uids = "", gids = "", rest = ""] = text.split("=\n");
  const [setgroups, ...ids] = rest.trim().split("\n");
  return { uids: parseMap(uids), gids: parseMap(gids), setgroups, ids: ids.join(":") };
}

const bothMaps = (ownUid: number | null, ownGid: number | null) => ({
  uids: expectedMap("/etc/subuid", uid, ownUid),
  gids: expectedMap("/etc/subgid", gid, ownGid),
  setgroups: "allow",
});

test.needs(full, "by default the caller is root, and the subordinate ids follow", async () => {
  const expected = { ...bothMaps(0, 0), ids: "0:0" };
  assert.equal(await mapsOf(), expected);
  assert.equal(await mapsOf("--rootless", "--userns=auto"), expected);
});

test.needs(plain, "--userns=single maps the caller alone", async () => {
  assert.equal(await mapsOf("--userns=single"), {
    uids: [[0, uid, 1]],
    gids: [[0, gid, 1]],
    setgroups: "deny",
    ids: "0:0",
  });
});

test.needs(full, "--userns=keep-id: the caller has its own ids, or those asked for", async () => {
  const kept = bothMaps(uid, gid);
  assert.equal(await mapsOf("--userns=keep-id"), { ...kept, ids: `${uid}:${gid}` });
  assert.equal(await mapsOf("--userns=keep-id", "--user=0"), { ...kept, ids: "0:0" });
  assert.equal(await mapsOf("--userns=keep-id:uid=5,gid=6"), { ...bothMaps(5, 6), ids: "5:6" });
});

test.needs(full, "--userns=nomap: the caller has no id inside", async () => {
  assert.equal(await mapsOf("--userns=nomap"), { ...bothMaps(null, null), ids: "0:0" });
  // 65534 is what stands for ids without one: user_namespaces(7).
  assert.is(
    await inside(["--userns=nomap"], "stat -c %u:%g /bin; touch /x; stat -c %u:%g /x"),
    "65534:65534\n0:0\n",
  );
});

test.needs(full, "--uidmap and --gidmap are the maps, in any order", async () => {
  const [[firstUid]] = subids("/etc/subuid") as [[number, number]];
  const [[firstGid]] = subids("/etc/subgid") as [[number, number]];
  const uids = [`7:${firstUid}:3`, `0:${uid}:1`].flatMap((line) => ["--uidmap", line]);
  const gids = [`9:${firstGid + 1}:2`, `0:${gid}:1`].flatMap((line) => ["--gidmap", line]);
  assert.equal(await mapsOf(...uids, ...gids), {
    uids: [
      [0, uid, 1],
      [7, firstUid, 3],
    ],
    gids: [
      [0, gid, 1],
      [9, firstGid + 1, 2],
    ],
    setgroups: "allow",
    ids: "0:0",
  });
  assert.equal((await mapsOf(...uids)).gids, expectedMap("/etc/subgid", gid, 0));
});

test.needs(full, "maps without a root inside", async () => {
  const [[firstUid]] = subids("/etc/subuid") as [[number, number]];
  const [[firstGid]] = subids("/etc/subgid") as [[number, number]];
  const script =
    "id -u; id -g; touch /x /dev/x; stat -c %u:%g /x /dev /dev/x; grep CapEff /proc/self/status";
  const expected = `5\n6\n5:6\n5:6\n5:6\nCapEff:\t${"0".repeat(16)}\n`;
  for (const [uids, gids] of [
    [`5:${firstUid}:2`, `6:${firstGid}:2`],
    [`5:${uid}:1`, `6:${gid}:1`],
  ] as const) {
    const options = ["--uidmap", uids, "--gidmap", gids];
    assert.is(await inside([...options, "--user=5:6"], script), expected);
    assert.match(
      (await refusal(options, [busyboxRootfs(), "true"])).line,
      "run as uid 0: it is not mapped",
    );
  }
});

test.needs(full, "--user by name, number, group; supplementary groups of the rootfs", async () => {
  const look = 'echo "$(id -u):$(id -g) $(id -G) $HOME"; grep ^Groups: /proc/self/status';
  const seen = async (user: string) =>
    (await inside(["--user", user], look)).replace(/\s+/g, " ").trim();
  const cases = {
    alice: "1000:1000 1000 29 50 /home/alice Groups: 29 50",
    "1000": "1000:1000 1000 29 50 /home/alice Groups: 29 50",
    bob: "1001:1001 1001 50 /nonexistent Groups: 50",
    "alice:staff": "1000:50 50 /home/alice Groups:",
    "1000:29": "1000:29 29 /home/alice Groups:",
    "4242": "4242:0 0 / Groups:",
    "4242:4343": "4242:4343 4343 / Groups:",
    root: "0:0 0 /root Groups:",
  };
  for (const [user, expected] of Object.entries(cases)) assert.is(await seen(user), expected, user);
});

test.needs(full, "the highest id there is, where it is mapped", async () => {
  const [[first]] = subids("/etc/subuid") as [[number, number]];
  const [[firstGid]] = subids("/etc/subgid") as [[number, number]];
  const options = [
    ...["--uidmap", `0:${uid}:1`, "--uidmap", `4294967294:${first}:1`],
    ...["--gidmap", `0:${gid}:1`, "--gidmap", `4294967294:${firstGid}:1`],
  ];
  for (const user of ["big", "4294967294", "4294967294:4294967294"]) {
    const text = await inside([...options, "--user", user], "grep -E '^[UG]id' /proc/self/status");
    const all = Array(4).fill("4294967294").join("\t");
    assert.is(text, `Uid:\t${all}\nGid:\t${all}\n`);
  }
});

test.needs(plain, "users that cannot be are refused in one line", async () => {
  const cases: [string[], RegExp][] = [
    [["--user", "nosuch"], /^sbx: user nosuch: .*\/etc\/passwd has no such user\. .*alice/],
    [["--user", "alcie"], /Did you mean alice\?/],
    [["--user", "0:nosuch"], /^sbx: group nosuch: .*\/etc\/group has no such group\. /],
    [["--user", "4294967295"], /^sbx: user 4294967295: ids go from 0 to 4294967294\. /],
    [
      ["--userns=single", "--user", "1000"],
      /^sbx: run as uid 1000: it is not mapped .*Leave out --userns=single/,
    ],
    [["--userns=single", "--user", "big"], /^sbx: run as uid 4294967294: it is not mapped/],
  ];
  for (const [options, expected] of cases) {
    const { code, line } = await refusal(options, [busyboxRootfs(), "true"]);
    assert.is(code, 125);
    assert.match(line, expected);
  }
});

test.needs(plain, "a single id cannot have supplementary groups", async () => {
  const { Groups, Uid } = fields(
    await inside(["--userns=single", "--user=0"], "cat /proc/self/status"),
  );
  assert.is(Uid, "0\t0\t0\t0");
  // The caller's own groups cannot be dropped: without setgroups(2) they stay, as ids without a name.
  const own = process.getgroups?.().map((each) => (each === gid ? "0" : "65534")) ?? [];
  assert.equal(Groups?.split(" ").sort(), [...new Set(own)].sort());
});

test.needs(
  [...full, "debian"],
  "users of a Debian rootfs, and its own tools to make more",
  async () => {
    const rootfs = await debianRootfs();
    const script =
      "set -e; useradd -m -G tty,staff carol; su carol -c 'id; touch ~/x'; stat -c %U:%G ~carol/x; passwd -S carol | cut -d' ' -f1,2";
    assert.is(
      await inside([], script, { rootfs }),
      "uid=1000(carol) gid=1000(carol) groups=1000(carol),5(tty),50(staff)\ncarol:carol\ncarol L\n",
    );
    const look = "id; cd; pwd; stat -c %U /etc/shadow; cat /etc/shadow 2>&1 | head -c 44";
    assert.is(
      await inside(["--user=games"], look, { rootfs }),
      "uid=5(games) gid=60(games) groups=60(games)\n/usr/games\nroot\ncat: /etc/shadow: Permission denied\n",
    );
  },
);

test.needs(full, "--in-place: who owns the files outside", async () => {
  const rootfs = join(temporaryDirectory("identity"), "rootfs");
  copyBusyboxRootfs(rootfs);
  const script = "touch /own /theirs; chown 1000:50 /theirs; su alice -c 'touch /tmp/hers'";
  await inside(["--in-place"], script, { rootfs });
  const owner = (name: string) => {
    const stat = fs.statSync(join(rootfs, name));
    return [stat.uid, stat.gid];
  };
  const outside = (map: Line[], id: number) => {
    const line = map.find(([start, , size]) => id >= start && id < start + size);
    return line === undefined ? null : line[1] + id - line[0];
  };
  const { uids, gids } = bothMaps(0, 0);
  assert.equal(owner("own"), [uid, gid]);
  assert.equal(owner("theirs"), [outside(uids, 1000), outside(gids, 50)]);
  assert.equal(owner("tmp/hers"), [outside(uids, 1000), outside(gids, 1000)]);
  // What belongs to subordinate ids can be removed from inside alone.
  assert.is((await attempt(["--in-place"], "rm /theirs /tmp/hers", { rootfs })).code, 0);
});

test.run();

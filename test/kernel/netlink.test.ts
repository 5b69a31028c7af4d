/** What the kernel makes of netlink messages, seen by other programs: nft(8) and ip(8). */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type Context, context, s } from "../../launch/lower/context.js";
import {
  netlinkSubroutines,
  openNetlink,
  type protocol,
  tellKernel,
} from "../../launch/lower/netns/netlink.js";
import { slot } from "../../launch/machine/builder.js";
import { compile } from "../../launch/machine/link.js";
import { networkRules } from "../../netns/filter.js";
import { addBridge, hole, linkUp, text, u8, u32 } from "../../netns/netlink.js";
import { suite } from "../support/suite.js";

const test = suite("netlink and the kernel");
const fd = slot("fd");

/** Runs a program in a new network namespace and then the command there; the program exits with its errno. */
function inNamespace(kind: keyof typeof protocol, write: (c: Context) => void, command: string) {
  const directory = mkdtempSync(join(tmpdir(), "sbx-"));
  try {
    const c = context({ steps: [], notes: [], warnings: [], init: false, statusFd: null });
    c.b.failTo("fail");
    openNetlink(c, kind, fd);
    write(c);
    c.b.exit(0);
    c.b.label("fail");
    c.b.exit(s.errno);
    netlinkSubroutines(c);
    const path = join(directory, "program");
    writeFileSync(path, compile(c.b.finish(), "x86_64"), { mode: 0o700 });
    const script = `"$0" || exit $?; ${command}`;
    const args = ["--user", "--map-root-user", "--net", "sh", "-c", script, path];
    const { status, stdout, stderr } = spawnSync("unshare", args, { encoding: "utf8" });
    return { status, stdout, stderr };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test.needs(["user namespaces", "nft"], "nft reads the rules of the networks", () => {
  const { status, stdout, stderr } = inNamespace(
    "netfilter",
    (c) => tellKernel(c, fd, networkRules()),
    "nft list ruleset",
  );
  assert.equal([status, stderr], [0, ""]);
  assert.fixture(
    stdout.replaceAll("\t", "  "),
    `table inet sbx {
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state established,related accept
    icmpv6 type nd-neighbor-solicit accept
    icmpv6 type nd-neighbor-advert accept
    iifname "tap0" icmpv6 type nd-router-advert accept
    iifname "sbx*" fib daddr . iif type local meta l4proto icmp accept
    iifname "sbx*" fib daddr . iif type local icmpv6 type echo-request accept
    iifname "sbx*" fib daddr . iif type local udp dport 53 accept
    iifname "sbx*" fib daddr . iif type local tcp dport 53 accept
  }

  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "sbx*" fib daddr . iif oif exists accept
    iifname "sbxe*" oifname != "sbx*" fib saddr . iif oif exists accept
  }

  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname != "sbx*" masquerade
  }
}
`,
  );
});

const bridge = addBridge({
  name: text("sbxe00000001"),
  mac: u8(2, 0x53, 10, 89, 0, 1),
  mtu: hole("mtu", 4),
});
const fills = (c: Context) => ({
  mtu: (at: Parameters<Context["b"]["store"]>[1]) => c.b.store(4, at, 0, 65520),
});

test.needs(["user namespaces", "ip"], "a link is made with what the program fills in", () => {
  const { status, stdout } = inNamespace(
    "route",
    (c) => {
      tellKernel(c, fd, bridge, fills(c));
      tellKernel(c, fd, linkUp(u32(1)));
    },
    "ip -brief link; ip link show sbxe00000001",
  );
  assert.is(status, 0);
  assert.match(stdout, /^lo +UNKNOWN .*LOOPBACK,UP/);
  assert.match(stdout, /sbxe00000001: .* mtu 65520 [\s\S]*link\/ether 02:53:0a:59:00:01/);
});

test.needs("user namespaces", "a refusal fails the step with the kernel's errno", () => {
  const again = (c: Context) => {
    for (const _ of [1, 2]) tellKernel(c, fd, bridge, fills(c));
  };
  assert.is(inNamespace("route", again, "true").status, 17);
  assert.is(inNamespace("route", (c) => tellKernel(c, fd, linkUp(u32(99))), "true").status, 19);
});

test.run();

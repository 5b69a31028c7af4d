/**
 * Traffic for tests of networks, run by a bare Node on both sides, whatever namespaces these are in.
 *
 * - `serve PORT`: TCP and UDP, IPv4 and IPv6. Says `serving` once it does. A TCP client that sends
 *   `who` and every UDP client gets its own address back; any other TCP client as many bytes as it
 *   has announced, once they are there.
 * - `who tcp|udp ADDRESS PORT [SECONDS]`: prints what the server says, or the error's code, or `ETIMEDOUT` after
 *   so long. It waits for an answer that is to come on a busy machine as well, where nothing else is said.
 * - `who unix NAME`, of an abstract socket that `serve` has too, by the name `sbx-PORT`.
 * - `echo ADDRESS PORT BYTES [TRIES]`: sends random bytes and takes as many back; prints `same` if they are the same. Where
 *   nothing moves any more it begins anew, as often as is said: pasta stalls now and then (test/kernel/uplink.test.ts).
 */
import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, createServer, isIPv6 } from "node:net";

const patienceSeconds = 25;
/** After so long nothing moves any more. */
const stallMs = 10_000;
/** A datagram may be lost. */
const againMs = 1000;
/** How many bytes are to come is said in as many digits. */
const sizeDigits = 12;
const [what, ...words] = process.argv.slice(2);
const print = (text) => process.stdout.write(`${text}\n`);

function serve(port) {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", (first) => {
      if (`${first}` === "who") {
        socket.end(plain(socket.remoteAddress));
        return;
      }
      const size = Number(first.subarray(0, sizeDigits));
      const all = [];
      let length = 0;
      const take = (bytes) => {
        all.push(bytes);
        length += bytes.length;
        if (length === size) socket.end(Buffer.concat(all));
      };
      take(first.subarray(sizeDigits));
      socket.on("data", take);
    });
  });
  createServer((socket) => socket.end("unix")).listen(`\0sbx-${port}`);
  server.listen(port, "::", () => {
    const kinds = ["udp4", "udp6"].map((type) => {
      const socket = createSocket({ type, ipv6Only: type === "udp6" });
      socket.on("message", (_, from) => socket.send(plain(from.address), from.port, from.address));
      return new Promise((done) => socket.bind(port, done));
    });
    Promise.all(kinds).then(() => print("serving"));
  });
}

const plain = (address) => address.replace(/^::ffff:/, "").replace(/%.*/, "");

function who(protocol, address, port, seconds) {
  const end = (text) => {
    print(text);
    process.exit();
  };
  setTimeout(() => end("ETIMEDOUT"), 1000 * seconds);
  if (protocol !== "udp") {
    const to = protocol === "unix" ? { path: `\0${address}` } : { port, host: address };
    const socket = connect(to, () => socket.write("who"));
    socket.on("data", (text) => end(text));
    socket.on("error", ({ code }) => end(code));
    return;
  }
  const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
  socket.on("message", (text) => end(text));
  socket.on("error", ({ code }) => end(code));
  const ask = () => socket.send("who");
  socket.connect(port, address, () => {
    ask();
    setInterval(ask, againMs);
  });
}

function echo(address, port, size, tries) {
  const sent = createHash("sha256");
  const received = createHash("sha256");
  const socket = connect(port, address);
  let left = size;
  const fill = () => {
    while (left > 0) {
      const bytes = randomBytes(Math.min(left, 1 << 16));
      left -= bytes.length;
      sent.update(bytes);
      if (!socket.write(bytes)) return;
    }
  };
  socket.write(`${size}`.padStart(sizeDigits));
  socket.on("drain", () => left > 0 && fill());
  socket.on("data", (bytes) => received.update(bytes));
  socket.on("error", ({ code }) => print(code));
  socket.on("end", () => print(sent.digest("hex") === received.digest("hex") ? "same" : "differ"));
  socket.setTimeout(stallMs, () => {
    socket.destroy();
    if (tries > 1) echo(address, port, size, tries - 1);
    else print("ETIMEDOUT");
  });
  fill();
}

if (what === "serve") serve(Number(words[0]));
else if (what === "who")
  who(words[0], words[1], Number(words[2]), Number(words[3] ?? patienceSeconds));
else if (what === "echo") echo(words[0], Number(words[1]), Number(words[2]), Number(words[3] ?? 1));
else throw new Error(`no such traffic: ${what}`);

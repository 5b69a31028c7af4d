/** Runs in the namespace of a sandbox: `dns-streams.ts SERVER` says how its connections fared. */
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { queryOf } from "./dns-message.js";

const server = process.argv[2] ?? "";
const rcodes = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP"];

async function connect(): Promise<Socket> {
  const socket = createConnection(53, server);
  // ECONNRESET is how it closes those that have not been read from.
  socket.on("error", () => socket.destroy());
  await once(socket, "connect");
  return socket;
}

const framed = (message: Buffer): Buffer =>
  Buffer.concat([Buffer.of(message.length >> 8, message.length & 255), message]);

/** The results of as many answers. */
async function answers(socket: Socket, count: number): Promise<string> {
  let got = Buffer.alloc(0);
  const found: string[] = [];
  while (found.length < count) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    got = Buffer.concat([got, chunk]);
    while (got.length >= 2 && got.length >= 2 + got.readUInt16BE()) {
      found.push(rcodes[(got[5] as number) & 15] ?? "?");
      got = got.subarray(2 + got.readUInt16BE());
    }
  }
  return found.join(" ");
}

async function closed(bytes: Buffer): Promise<string> {
  const socket = await connect();
  socket.resume();
  const close = new Promise((done) => socket.once("close", done));
  socket.write(bytes);
  await close;
  return "closed";
}

const names = ["alpha", "example.org", "web"];
const sound = await connect();
sound.write(Buffer.concat(names.map((name) => framed(queryOf(name, 1)))));
const three = await answers(sound, 3);
// An opcode that is not known.
sound.write(framed(Buffer.from("000108000001000000000000", "hex")));
console.log(`sound: ${three} ${await answers(sound, 1)}`);
sound.destroy();

const slow = await connect();
slow.setNoDelay(true);
for (const byte of framed(queryOf("alpha", 1))) {
  slow.write(Buffer.of(byte));
  await new Promise((done) => setTimeout(done, 2));
}
console.log(`byte by byte: ${await answers(slow, 1)}`);
slow.destroy();

console.log(`too short: ${await closed(Buffer.from("000b0000", "hex"))}`);
console.log(`too long: ${await closed(Buffer.from("02010000", "hex"))}`);

const greedy = await connect();
greedy.pause();
const gone = new Promise((done) => greedy.once("close", done));
const flood = Buffer.concat(new Array(200).fill(framed(queryOf("big.example", 1))));
greedy.write(flood);
setTimeout(() => greedy.resume(), 13_000);
await gone;
console.log("not read: closed");

const idle = await Promise.all(Array.from({ length: 200 }, connect));
const left = () => idle.filter((socket) => !socket.destroyed && !socket.readableEnded).length;
// Where more come at once than are waited for, the kernel completes the rest when it asks again, which takes up to a
// minute (tcp(7), tcp_synack_retries), or when the client says something: here half of a length.
for (let tries = 0; left() > 32 && tries < 400; tries++) {
  if (tries === 40) for (const socket of idle) if (!socket.destroyed) socket.write(Buffer.of(0));
  await new Promise((done) => setTimeout(done, 50));
}
console.log(`silent: ${left() <= 32 ? "at most 32" : left()} of 200 left`);
process.exit(0);

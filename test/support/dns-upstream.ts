/**
 * Runs in a namespace: `dns-upstream.ts ADDRESS` is a resolver that does what the first label of a name
 * says, and prints each name that it is asked for, with the protocol.
 */
import { createSocket } from "node:dgram";
import { createServer } from "node:net";

const address = process.argv[2] ?? "";
const bytesOfBig = 60_000;

function nameOf(message: Buffer): string {
  const labels: string[] = [];
  for (let at = 12; message[at]; at += 1 + (message[at] as number)) {
    labels.push(message.toString("latin1", at + 1, at + 1 + (message[at] as number)));
  }
  return labels.join(".");
}

/** An answer that has one address, and as much padding as is asked for. */
function answer(query: Buffer, flags: readonly [number, number] = [0x81, 0x80], padding = 0) {
  const end = 12 + nameOf(query).length + 2 + 4;
  const head = Buffer.from(query.subarray(0, end));
  [head[2], head[3]] = flags;
  head.writeUInt32BE(1, 6);
  head.writeUInt16BE(0, 10);
  const record = Buffer.of(0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 198, 51, 100, 7);
  return Buffer.concat([head, record, Buffer.alloc(padding, 0x2e)]);
}

const udp = createSocket(address.includes(":") ? "udp6" : "udp4");
const other = createSocket(address.includes(":") ? "udp6" : "udp4");
udp.on("message", (query, { port, address: from }) => {
  const name = nameOf(query);
  console.log(`udp ${name}`);
  const send = (message: Buffer) => udp.send(message, port, from);
  const [first] = name.split(".");
  if (first === "silent") return;
  if (first === "fails") send(answer(query, [0x81, 0x82]));
  else if (first === "big") send(answer(query, [0x83, 0x80]));
  else if (first === "loud") send(answer(query).fill(0, 0, 0));
  else if (first === "unread")
    send(Buffer.concat([query.subarray(0, 2), Buffer.from("81810000000000000000", "hex")]));
  else if (first === "false") {
    const lie = answer(query);
    lie[lie.length - 1] = 66;
    // From another port, with another id, to another question, and as a query.
    other.send(lie, port, from);
    send(Buffer.concat([Buffer.of((lie[0] as number) ^ 1), lie.subarray(1)]));
    const question = Buffer.from(lie);
    question[14] = (question[14] as number) ^ 3;
    send(question);
    send(Buffer.from(lie).fill(1, 2, 3));
    send(lie.subarray(0, 11));
    setTimeout(() => send(answer(query)), 50);
  } else
    send(
      answer(
        Buffer.from(
          query.map((byte, at) => (at > 12 && byte > 64 && byte < 91 ? byte + 32 : byte)),
        ),
      ),
    );
});
udp.bind(53, address);

const tcp = createServer((socket) => {
  let got = Buffer.alloc(0);
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    got = Buffer.concat([got, chunk]);
    while (got.length > 2 && got.length >= 2 + got.readUInt16BE()) {
      const query = got.subarray(2, 2 + got.readUInt16BE());
      got = got.subarray(2 + query.length);
      const name = nameOf(query);
      console.log(`tcp ${name}`);
      if (name.startsWith("silent")) continue;
      const message = answer(query, [0x81, 0x80], name.startsWith("big") ? bytesOfBig : 0);
      const framed = Buffer.concat([Buffer.of(message.length >> 8, message.length & 255), message]);
      // In pieces that end within the length and within the message.
      socket.write(framed.subarray(0, 1));
      setTimeout(() => socket.write(framed.subarray(1)), 20);
    }
  });
});
tcp.listen(53, address, () => console.log("ready"));

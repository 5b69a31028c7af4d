/**
 * Runs in the namespace of a sandbox: `dns-flood.ts SERVER COUNT ADDRESS…` sends that many packets as
 * fast as it can, from one address after the other: random bytes, and queries with bytes changed. Says
 * so when it begins.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { queryOf } from "./dns-message.js";

const [server = "", count = "0", ...addresses] = process.argv.slice(2);
const sockets = await Promise.all(
  addresses.map(async (address) => {
    const socket = createSocket("udp4");
    socket.on("message", () => {});
    socket.bind(0, address);
    await once(socket, "listening");
    return socket;
  }),
);
const random = (below: number): number => Math.floor(Math.random() * below);
console.log("begun");
for (let sent = 0; sent < Number(count); sent += 1) {
  const packet =
    sent % 2 === 0
      ? Buffer.from(Array.from({ length: random(600) }, () => random(256)))
      : queryOf(`web.x${random(99)}.sbx.internal`, random(256));
  if (packet.length > 0) packet[random(packet.length)] = random(256);
  const socket = sockets[sent % sockets.length];
  const done = new Promise((resolve) => socket?.send(packet, 53, server, resolve));
  if (sent % 64 === 0) await done;
}
for (const socket of sockets) socket.close();

/**
 * A scope from the user's systemd, over D-Bus. What is said is compiled in (cgroup/scope.ts); of what comes
 * back two things matter: an error, and the end of the job that starts the scope. The socket is a
 * stream of messages, each a header of 16 bytes, more of its fields, and a body.
 */
import { errnoNumbers } from "../../../spec/linux.js";
import type { ActionOf } from "../../../spec/step.js";
import { at, constant, slot } from "../../machine/builder.js";
import { k } from "../../machine/constants.js";
import type { Address, Slot, Value } from "../../machine/ir.js";
import { actionOf, type Context, s } from "../context.js";
import { socketAddress } from "../payload/listener.js";
import { pseudoErrno } from "../pseudo-errno.js";
import { idLength, idOf } from "../text/id.js";

type StartScope = ActionOf<"startScope">;

/** D-Bus Specification, "Message Format": where the header has what. */
const header = { type: 1, bodyLength: 4, fieldsLength: 12, size: 16 } as const;
const messageType = { error: 3, signal: 4 } as const;

/** More than systemd and the bus have to say to who starts one unit. */
const bufferSize = 8192;
const patienceSeconds = 20;
const scopeSuffix = ".scope";

const socket = slot("busSocket");
const length = slot("busLength");
const place = slot("busPlace");
const bodyEnd = slot("busBodyEnd");
const stringLength = slot("busStringLength");

/** Before any step. */
export function scopeState(c: Context): void {
  if (actionOf(c, "startScope") !== undefined) c.b.set(s.scopeSaid, -1);
}

export function startScope(c: Context, { socket: path, request, stem }: StartScope): void {
  const { b } = c;
  b.must("socket", [k("AF_UNIX"), k("SOCK_STREAM", "SOCK_CLOEXEC"), 0], socket);
  // struct timeval
  const patience = b.words("busPatience", [patienceSeconds, 0], false);
  for (const option of ["SO_RCVTIMEO", "SO_SNDTIMEO"] as const) {
    b.must("setsockopt", [socket, k("SOL_SOCKET"), k(option), patience, 16]);
  }
  const address = socketAddress(path);
  b.must("connect", [socket, b.bytes("busAddress", address), address.length]);
  const send = (bytes: Address, size: number) =>
    b.must("sendto", [socket, bytes, size, k("MSG_NOSIGNAL"), 0, 0]);
  const say = (bytes: Uint8Array) => send(b.bytes("busRequest", bytes), bytes.length);
  const reply = b.buffer("busReply", bufferSize);
  say(request.greeting);
  awaitWelcome(c, reply);
  say(request.before);
  send(idOf(c), idLength);
  say(request.after);
  awaitJob(c, reply, stem.length);
  b.must("close", [socket]);
}

/** All of it, or the end of the connection. */
function receive({ b }: Context, to: Address, size: Value): void {
  const whole = b.fresh("received");
  b.must("recvfrom", [socket, to, size, k("MSG_WAITALL"), 0, 0], s.result);
  b.branch(s.result, "eq", size, whole);
  giveUp(b, "ECONNRESET");
  b.label(whole);
}

function giveUp(b: Context["b"], errno: string): void {
  b.set(s.errno, errnoNumbers[errno] ?? 0);
  b.fail();
}

/** One line, `OK` and an id of the server; messages may come right behind it. */
function awaitWelcome(c: Context, reply: Address): void {
  const { b } = c;
  const next = b.fresh("welcome");
  receive(c, reply, 1);
  b.load(1, s.result, reply);
  b.branch(s.result, "eq", "O".charCodeAt(0), next);
  giveUp(b, "EACCES");
  b.label(next);
  receive(c, reply, 1);
  b.load(1, s.result, reply);
  b.branch(s.result, "ne", "\n".charCodeAt(0), next);
}

/**
 * The signal JobRemoved has the number of a job, its path, the unit and `done` or how else it
 * ended: org.freedesktop.systemd1(5). The unit is known by its digits, `stemLength` bytes on.
 */
function awaitJob(c: Context, reply: Address, stemLength: number): void {
  const { b, memory } = c;
  const [next, fits, refused] = [b.fresh("job"), b.fresh("job"), b.fresh("job")];
  const [silent, failed, done] = [b.fresh("job"), b.fresh("job"), b.fresh("job")];
  const [type, unit, own] = [slot("busType"), slot("busUnit"), slot("busOwn")];
  const text = slot("busText");
  b.label(next);
  receive(c, reply, header.size);
  b.load(1, type, reply, header.type);
  b.load(4, place, reply, header.fieldsLength);
  align(b, place, 8);
  b.load(4, length, reply, header.bodyLength);
  b.alu("add", length, length, place);
  b.branch(length, "le", bufferSize - header.size, fits);
  giveUp(b, "EMSGSIZE");
  b.label(fits);
  receive(c, at(reply, header.size), length);
  b.alu("add", bodyEnd, at(reply, header.size), length);
  b.alu("add", place, at(reply, header.size), place);
  b.branch(type, "eq", messageType.error, refused);
  b.branch(type, "ne", messageType.signal, next);

  b.comment("the job's number and path, the unit, how it ended");
  b.alu("add", place, place, 4);
  takeString(b, unit, next);
  takeString(b, unit, next);
  b.branch(stringLength, "ne", stemLength + idLength + scopeSuffix.length, next);
  for (const [width, offset] of [
    [8, 0],
    [4, 8],
  ] as const) {
    b.load(width, type, unit, stemLength + offset);
    b.load(width, own, idOf(c), offset);
    b.branch(type, "ne", own, next);
  }
  // Other signals of a job, which come on the private socket, have no fourth word.
  takeString(b, text, next);
  b.branch(stringLength, "ne", 4, failed);
  b.load(4, type, text);
  b.branch(type, "eq", constant('"done"', 0x656e6f64), done);
  b.jump(failed);
  b.label(refused);
  takeString(b, text, silent);
  b.label(failed);
  b.must("pipe2", [memory.pair, k("O_CLOEXEC", "O_NONBLOCK")]);
  b.load(4, s.scopeSaid, memory.pair);
  b.load(4, place, memory.pair, 4);
  b.must("write", [place, text, stringLength]);
  b.label(silent);
  b.set(s.errno, pseudoErrno.scopeRefused);
  b.fail();
  b.label(done);
}

/** The string at `place`, which goes on behind it; to `otherwise` where the body has none that is whole. */
function takeString(b: Context["b"], to: Slot, otherwise: string): void {
  b.alu("add", to, place, 4);
  b.branch(to, "gt", bodyEnd, otherwise);
  b.load(4, stringLength, place);
  b.alu("add", place, to, stringLength);
  b.alu("add", place, place, 1);
  b.branch(place, "gt", bodyEnd, otherwise);
  align(b, place, 4);
}

function align(b: Context["b"], value: Slot, to: number): void {
  b.alu("add", value, value, to - 1);
  b.alu("and", value, value, -to);
}

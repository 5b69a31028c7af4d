/**
 * socketcall and ipc of 32-bit x86, which take other calls by a number in their first argument: a rule
 * about such a call is one about them as well, or programs would get by it.
 */
import type { Condition, Rule } from "./rules.js";

/** SYS_* of linux/net.h; the numbers of linux/ipc.h. */
const multiplexers: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  socketcall: {
    socket: 1,
    bind: 2,
    connect: 3,
    listen: 4,
    accept: 5,
    getsockname: 6,
    getpeername: 7,
    socketpair: 8,
    send: 9,
    recv: 10,
    sendto: 11,
    recvfrom: 12,
    shutdown: 13,
    setsockopt: 14,
    getsockopt: 15,
    sendmsg: 16,
    recvmsg: 17,
    accept4: 18,
    recvmmsg: 19,
    sendmmsg: 20,
  },
  ipc: {
    semop: 1,
    semget: 2,
    semctl: 3,
    semtimedop: 4,
    msgsnd: 11,
    msgrcv: 12,
    msgget: 13,
    msgctl: 14,
    shmat: 21,
    shmdt: 22,
    shmget: 23,
    shmctl: 24,
  },
};

export function isMultiplexer(name: string): boolean {
  return Object.hasOwn(multiplexers, name);
}

/**
 * What the rule says about socketcall and ipc, as libseccomp has it (arch-x86.c): the conditions stay,
 * but for one on the first argument, though what they ask about is elsewhere there, and for
 * socketcall in memory, where no filter sees it.
 */
export function multiplexed({ names, conditions, ...rest }: Rule): Rule[] {
  const others = conditions.filter(({ index }) => index !== 0);
  return Object.entries(multiplexers).flatMap(([multiplexer, numbers]) =>
    names.flatMap((name) => {
      const number = Object.hasOwn(numbers, name) ? numbers[name] : undefined;
      if (number === undefined) return [];
      const first: Condition = { index: 0, op: "EQ", value: BigInt(number), valueTwo: 0n };
      return [{ ...rest, names: [multiplexer], conditions: [first, ...others] }];
    }),
  );
}

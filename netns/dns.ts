/** Numbers and names of the domain name system: RFC 1035 section 4, RFC 3596, RFC 5936, RFC 1995. */

/** A message begins with id, flags and the counts of its sections: 12 bytes. The first question follows. */
export const headerSize = 12;
/** Type and class, behind the name. */
export const questionTail = 4;
/** Bytes of a name in a message, with the length of each label and the empty one at the end. */
export const maxName = 255;
export const maxLabel = 63;
/** What a datagram holds where the client has said nothing else, and what we take of one. */
export const datagramSize = 512;

/** In the third byte: a response, the kind of query, an authority's answer, cut off. */
export const flags = { response: 0x80, opcode: 0x78, authoritative: 4, truncated: 2 } as const;
/** In the fourth byte. */
export const recursionAvailable = 0x80;

export const types = { A: 1, PTR: 12, AAAA: 28, IXFR: 251, AXFR: 252 } as const;
export const classIn = 1;

export const rcodes = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
} as const;

/**
 * The domain that the names of sandboxes are in, besides being names by themselves. What is not known
 * there is asked of nobody. ICANN keeps `internal` free for such uses (its resolution of 2024-07-29).
 */
export const ownDomain = ".sbx.internal";
/** Where names stand for addresses, the parts of which come in reverse: RFC 1035 section 3.5, RFC 3596 section 2.5. */
export const reverse4 = ".in-addr.arpa";
export const reverse6 = ".ip6.arpa";

/** Seconds for which an answer about a sandbox may be kept: one that comes next can have its address. */
export const ttlSeconds = 0;

/** The first letters of a bridge's name: sandboxes on it may reach out, or not. */
export const bridgePrefixes = { external: "sbxe", internal: "sbxi" } as const;

/** Port 53 of an address as struct sockaddr_in or sockaddr_in6, filled up to 32 bytes. */
export function socketAddress(ip: string): Uint8Array {
  const bytes = new Uint8Array(32);
  const isSix = ip.includes(":");
  bytes[0] = isSix ? 10 : 2;
  bytes[3] = 53;
  bytes.set(isSix ? bytes6(ip) : bytes4(ip), isSix ? 8 : 4);
  return bytes;
}

const bytes4 = (ip: string): number[] => ip.split(".").map(Number);

/** The sixteen bytes of an IPv6 address, whose last four may be written as an IPv4 address. */
export function bytes6(ip: string): number[] {
  const groups = (part: string | undefined): number[] =>
    part === undefined || part === ""
      ? []
      : part.split(":").flatMap((word) => {
          if (word.includes(".")) return bytes4(word);
          const group = Number.parseInt(word, 16);
          return [group >> 8, group & 255];
        });
  const [before, after] = ip.split("::");
  const [first, last] = [groups(before), groups(after)];
  return [...first, ...new Array<number>(16 - first.length - last.length).fill(0), ...last];
}

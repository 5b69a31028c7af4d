/** What the compiler holds to be unreachable, since every member of a union was seen to. */
export function assertNever(value: never): never {
  throw new Error(`unexpected ${JSON.stringify(value)}`);
}

/** A spec, or a part of one, as JSON. */

/** Integers that are no safe numbers are bigints, for which JSON.stringify has no form. */
export function specToJson(spec: object, indent = 0): string {
  const marked = (_: string, value: unknown) => (typeof value === "bigint" ? `\0${value}` : value);
  return JSON.stringify(spec, marked, indent).replace(/"\\u0000(\d+)"/g, "$1");
}

/** Those of node:net, which is loaded where an address is looked at: that takes longer than a plain run has. */
const net = () => process.getBuiltinModule("node:net");

/** 4 or 6, and 0 for what is no address. */
export const isIP = (text: string): number => net().isIP(text);
export const isIPv4 = (text: string): boolean => net().isIPv4(text);
export const isIPv6 = (text: string): boolean => net().isIPv6(text);

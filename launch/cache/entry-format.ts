/**
 * An entry of the cache: the words of a command line, the program that was compiled for them, and all
 * that the compile was told by the machine. The finder (launch/finder/) reads it, asks the machine the
 * same again, and executes the program only where each answer is the same.
 *
 * The file is words of eight bytes, little-endian, then texts at the offsets that the words name: the
 * header, `checkWords` words for each check, texts.
 */

/** Offsets of the header's words. Offsets of texts are 0 where there is none. */
export const header = {
  magic: 0,
  /** Of the whole file, in bytes. */
  size: 8,
  /** The words of the command line, each with its NUL. */
  key: 16,
  keyLength: 24,
  /** 1 where the entry to take has the working directory in its name as well; it has no program then. */
  deeper: 32,
  /** Absolute. */
  directory: 40,
  /** A name in the directory of the entry. */
  program: 48,
  checks: 56,
} as const;
export const headerSize = 64;

/** Another form of entries has another number. */
export const magic = Buffer.from("sbxrun2\n").readBigInt64LE();

/** A check is its kind and what it needs: offsets of texts, or numbers. */
export const checkWords = 4;
export const checkKinds = {
  /** Path, flags of statx(2), what statx gives. All of it but the time of the last access counts. */
  file: 1,
  /** The same; only which file it is, its mode and its owners count. */
  identity: 2,
  /** Path, flags, errno. */
  absent: 3,
  /** Path, mode of access(2), errno. */
  access: 4,
  /** Path, flags of open(2), errno. */
  open: 5,
  /** Path, template, its length. */
  text: 6,
  /** Path, where it leads. */
  real: 7,
  /** `NAME=`, value. */
  variable: 8,
  /** The first fields of uname(2). */
  uname: 9,
  /** Real and effective user, real and effective group: four words. */
  ids: 10,
} as const;

/** In a template: any one byte, and whatever comes before the end of the line. */
export const anyByte = 0;
export const anyLine = 1;

/** Entries are not larger. */
export const maxEntryBytes = 256 * 1024;

/** sysname, nodename, release, version and machine, of 65 bytes each: uname(2). */
export const unameSize = 5 * 65;

/** struct statx, statx(2): what is compared, by where it lies. */
export const statxFields = {
  uid: 20,
  gid: 24,
  mode: 28,
  ino: 32,
  size: 40,
  ctime: 96,
  mtime: 112,
  device: 136,
} as const;
export const statxSize = 144;

/** Of the sources that were built (build.mjs); none where they are run as they are. */
declare const sbxBuild: string | undefined;
/** By which the hash of words begins: another sbx that is installed beside this one has entries of its own. */
export const hashSeed = typeof sbxBuild === "undefined" ? 5381n : BigInt(sbxBuild);

/**
 * The executable as a file: a static ELF64 of type ET_EXEC, see elf(5). The segments follow each
 * other in the file without page padding; in memory each begins on a page of its own, at an address
 * congruent to its offset, so that one page of the file may be mapped twice.
 */
import type { Encoder } from "./encoder.js";

const headerSize = 64;
const programHeaderSize = 56;
/** R, RX, RW and the marker that the stack is not executable. */
const programHeaderCount = 4;
/** Where the program begins in memory. */
export const programStart = 0x400000;
/** Addresses must fit 24 bits, so that every back end can use short forms. */
const addressLimit = 0xffffff;

const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474e551;
const PF_X = 1;
const PF_W = 2;
const PF_R = 4;

/** Sizes in bytes: `data` is what the file holds of the writable segment, `zero` what follows it. */
export interface SegmentSizes {
  readonly rodata: number;
  readonly text: number;
  readonly data: number;
  readonly zero: number;
}

/** Where the parts lie in the file and in memory; `zero` has only an address. All but text are 16-byte aligned. */
export interface Layout {
  readonly sizes: SegmentSizes;
  readonly offsets: { readonly rodata: number; readonly text: number; readonly data: number };
  readonly addresses: {
    readonly rodata: number;
    readonly text: number;
    readonly data: number;
    readonly zero: number;
  };
}

/** The bytes of the parts that are in the file. */
export interface Contents {
  readonly rodata: Uint8Array;
  readonly text: Uint8Array;
  readonly data: Uint8Array;
}

/** What the segments of an architecture are laid out by: launch/machine/encoder.ts. */
type Alignment = Pick<Encoder, "instructionBytes" | "pageBytes">;

const alignUp = (value: number, to: number): number => Math.ceil(value / to) * to;

/** Gives every part its place. Throws where the program would not fit below 2 GiB. */
export function layout(sizes: SegmentSizes, { instructionBytes, pageBytes }: Alignment): Layout {
  const rodata = headerSize + programHeaderSize * programHeaderCount;
  const text = alignUp(rodata + sizes.rodata, instructionBytes);
  const textAddress = alignUp(programStart + text, pageBytes) + (text % pageBytes);
  // Before Linux 6.7 a segment with nothing in the file has to begin on a page boundary.
  const data = sizes.data === 0 ? 0 : alignUp(text + sizes.text, 16);
  const dataAddress = alignUp(textAddress + sizes.text, pageBytes) + (data % pageBytes);
  const zeroAddress = alignUp(dataAddress + sizes.data, 16);
  if (zeroAddress + sizes.zero > addressLimit) {
    throw new Error(`a program of ${zeroAddress + sizes.zero - programStart} bytes is too large`);
  }
  return {
    sizes,
    offsets: { rodata, text, data },
    addresses: {
      rodata: programStart + rodata,
      text: textAddress,
      data: dataAddress,
      zero: zeroAddress,
    },
  };
}

/** The bytes of the file. Execution begins at the first byte of the text. */
export function encodeElf(
  { sizes, offsets, addresses }: Layout,
  contents: Contents,
  { machine, pageBytes }: Pick<Encoder, "machine" | "pageBytes">,
) {
  for (const part of ["rodata", "text", "data"] as const) {
    if (contents[part].length !== sizes[part]) throw new Error(`${part} changed its size`);
  }
  const end = sizes.data === 0 ? offsets.text + sizes.text : offsets.data + sizes.data;
  const file = new Uint8Array(end);
  file.set(contents.rodata, offsets.rodata);
  file.set(contents.text, offsets.text);
  file.set(contents.data, offsets.data === 0 ? end : offsets.data);
  writeHeader(new DataView(file.buffer, 0, headerSize), machine, addresses.text);
  const headers = [
    { flags: PF_R, offset: 0, address: programStart, size: offsets.text, memory: offsets.text },
    {
      flags: PF_R | PF_X,
      offset: offsets.text,
      address: addresses.text,
      size: sizes.text,
      memory: sizes.text,
    },
    {
      flags: PF_R | PF_W,
      offset: offsets.data,
      address: addresses.data,
      size: sizes.data,
      memory: addresses.zero + sizes.zero - addresses.data,
    },
  ].map((segment) => ({ ...segment, type: PT_LOAD, align: pageBytes }));
  const stack = { flags: PF_R | PF_W, offset: 0, address: 0, size: 0, memory: 0 };
  for (const [index, header] of [
    ...headers,
    { ...stack, type: PT_GNU_STACK, align: 16 },
  ].entries()) {
    const at = headerSize + index * programHeaderSize;
    writeProgramHeader(new DataView(file.buffer, at, programHeaderSize), header);
  }
  return file;
}

function writeHeader(view: DataView, machine: number, entry: number): void {
  view.setUint32(0, 0x7f454c46); // e_ident: the magic number
  view.setUint8(4, 2); // ELFCLASS64
  view.setUint8(5, 1); // ELFDATA2LSB
  view.setUint8(6, 1); // EV_CURRENT
  view.setUint16(16, 2, true); // e_type: ET_EXEC
  view.setUint16(18, machine, true); // e_machine
  view.setUint32(20, 1, true); // e_version
  view.setBigUint64(24, BigInt(entry), true); // e_entry
  view.setBigUint64(32, BigInt(headerSize), true); // e_phoff
  view.setUint16(52, headerSize, true); // e_ehsize
  view.setUint16(54, programHeaderSize, true); // e_phentsize
  view.setUint16(56, programHeaderCount, true); // e_phnum
}

interface ProgramHeader {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  /** Bytes in the file and in memory. */
  readonly size: number;
  readonly memory: number;
  readonly align: number;
}

function writeProgramHeader(view: DataView, header: ProgramHeader): void {
  view.setUint32(0, header.type, true); // p_type
  view.setUint32(4, header.flags, true); // p_flags
  view.setBigUint64(8, BigInt(header.offset), true); // p_offset
  view.setBigUint64(16, BigInt(header.address), true); // p_vaddr
  view.setBigUint64(24, BigInt(header.address), true); // p_paddr
  view.setBigUint64(32, BigInt(header.size), true); // p_filesz
  view.setBigUint64(40, BigInt(header.memory), true); // p_memsz
  view.setBigUint64(48, BigInt(header.align), true); // p_align
}

import { AppError } from '@selvedge/contract';

/** What the loader asks of an ELF file. */
export interface ElfFile {
  /** e_machine and class: equal for files that can be loaded together. */
  readonly machine: string;
  /** Path of the loader that the file asks for; undefined for a library or a static program. */
  readonly interpreter: string | undefined;
  /** Name that others ask for it by. */
  readonly soname: string | undefined;
  /** Names of the libraries that it asks for, in order. */
  readonly needed: readonly string[];
}

const MAGIC = 0x7f454c46;
const [PT_LOAD, PT_DYNAMIC, PT_INTERP] = [1, 2, 3];
const [DT_NULL, DT_NEEDED, DT_STRTAB, DT_SONAME] = [0, 1, 5, 14];
const MAX_ENTRIES = 65_536;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
}

/** Numbers of a little-endian ELF file of either class; anything outside the file throws RangeError. */
class ElfReader {
  readonly is64: boolean;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.#view.getUint32(0) !== MAGIC || this.u8(5) !== 1) throw new RangeError('no little-endian ELF file');
    this.is64 = this.u8(4) === 2;
  }

  u8(at: number): number {
    return this.#view.getUint8(at);
  }
  u16(at: number): number {
    return this.#view.getUint16(at, true);
  }
  u32(at: number): number {
    return this.#view.getUint32(at, true);
  }
  /** An address or offset: 4 or 8 bytes. */
  word(at: number): number {
    return this.is64 ? Number(this.#view.getBigUint64(at, true)) : this.u32(at);
  }

  text(at: number): string {
    let end = at;
    while (this.u8(end) !== 0) end += 1;
    return Buffer.from(this.#view.buffer, this.#view.byteOffset + at, end - at).toString('utf8');
  }

  segments(): Segment[] {
    const [start, size, count] = this.is64 ? [this.word(32), this.u16(54), this.u16(56)] : [this.word(28), this.u16(42), this.u16(44)];
    return Array.from({ length: count }, (_, index) => {
      const at = start + index * size;
      const [offset, address, fileSize] = this.is64 ? [at + 8, at + 16, at + 32] : [at + 4, at + 8, at + 16];
      return { type: this.u32(at), offset: this.word(offset), address: this.word(address), fileSize: this.word(fileSize) };
    });
  }

  /** Tag and value of every entry of a dynamic segment. */
  dynamic({ offset, fileSize }: Segment): [tag: number, value: number][] {
    const wordBytes = this.is64 ? 8 : 4;
    const entries: [number, number][] = [];
    for (let at = offset; at < offset + fileSize && entries.length < MAX_ENTRIES; at += 2 * wordBytes) {
      const tag = this.word(at);
      if (tag === DT_NULL) break;
      entries.push([tag, this.word(at + wordBytes)]);
    }
    return entries;
  }
}

function readDynamic(reader: ElfReader, segments: readonly Segment[]): Pick<ElfFile, 'soname' | 'needed'> {
  const segment = segments.find(({ type }) => type === PT_DYNAMIC);
  const entries = segment === undefined ? [] : reader.dynamic(segment);
  const address = entries.find(([tag]) => tag === DT_STRTAB)?.[1] ?? 0;
  const loaded = segments.find((one) => one.type === PT_LOAD && address >= one.address && address < one.address + one.fileSize);
  const strings = loaded === undefined ? 0 : address - loaded.address + loaded.offset;
  const texts = (wanted: number) => entries.filter(([tag]) => tag === wanted).map(([, offset]) => reader.text(strings + offset));
  return { soname: texts(DT_SONAME)[0], needed: texts(DT_NEEDED) };
}

/**
 * Reads what an ELF program or library needs.
 *
 * @param name - for the message.
 * @throws AppError BUILD_FAILED when it is something else, or damaged.
 */
export function readElf(bytes: Uint8Array, name: string): ElfFile {
  try {
    const reader = new ElfReader(bytes);
    const segments = reader.segments();
    const interpreter = segments.find(({ type }) => type === PT_INTERP);
    return {
      machine: `${reader.u16(18)}/${reader.is64 ? 64 : 32}`,
      interpreter: interpreter === undefined ? undefined : reader.text(interpreter.offset),
      ...readDynamic(reader, segments),
    };
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new AppError('BUILD_FAILED', { message: `${name} is not a program or library that can be read.` }, { cause });
  }
}

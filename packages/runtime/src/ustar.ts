import { AppError } from '@selvedge/contract';

export const BLOCK_BYTES = 512;
/** Two empty blocks end a tar. */
export const TAR_END = Buffer.alloc(2 * BLOCK_BYTES);
const MAX_NAME_BYTES = 100;
const MAX_SIZE_BYTES = 8 ** 11 - 1;

/** `size` as a tar header has it: eleven octal digits and a NUL. */
function octal(value: number, digits: number): string {
  return `${value.toString(8).padStart(digits, '0')}\0`;
}

/** What a header says besides name and size. */
export interface UstarKind {
  /** Default: a plain file. `records`: of POSIX.1-2001 (pax), for the header that follows. */
  readonly type?: 'file' | 'link' | 'folder' | 'records';
  /** Permission bits; default 0644. */
  readonly mode?: number;
  /** Where a link leads: at most 100 ASCII characters. */
  readonly target?: string;
}

const TYPE_FLAGS = { file: '0', link: '2', folder: '5', records: 'x' } as const;

/** Whether a header has room for a name or the target of a link. */
export function fitsUstar(name: string): boolean {
  return /^[\x20-\x7e]{1,100}$/.test(name);
}

/** Whether a header has room for a size. */
export function fitsUstarSize(sizeBytes: number): boolean {
  return sizeBytes >= 0 && sizeBytes <= MAX_SIZE_BYTES;
}

/**
 * The header of an entry of a tar: nobody's, of 1970. The same name, size and kind give the same 512 bytes, so that a reader that
 * knows what must come can compare headers instead of interpreting them.
 *
 * @see POSIX.1-2017, pax, "ustar Interchange Format"
 * @throws AppError INTERNAL (bug) when the name is not 1 to 100 ASCII characters, or the size more than 8 GiB.
 */
export function ustarHeader(name: string, sizeBytes: number, { type = 'file', mode = 0o644, target = '' }: UstarKind = {}): Buffer {
  if (name.length < 1 || name.length > MAX_NAME_BYTES || target.length > MAX_NAME_BYTES || !fitsUstarSize(sizeBytes))
    throw new AppError('INTERNAL', { message: `A tar has no place for ${sizeBytes} bytes under "${name.slice(0, MAX_NAME_BYTES)}".` });
  const header = Buffer.alloc(BLOCK_BYTES);
  header.write(name, 0, 'ascii');
  header.write(octal(mode, 7), 100, 'ascii');
  header.write(octal(0, 7), 108, 'ascii');
  header.write(octal(0, 7), 116, 'ascii');
  header.write(octal(sizeBytes, 11), 124, 'ascii');
  header.write(octal(0, 11), 136, 'ascii');
  header.write('        ', 148, 'ascii'); // the checksum is reckoned with spaces in its place
  header.write(TYPE_FLAGS[type], 156, 'ascii');
  header.write(target, 157, 'ascii');
  header.write('ustar\x0000', 257, 'ascii');
  header.write(octal(0, 7), 329, 'ascii');
  header.write(octal(0, 7), 337, 'ascii');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'ascii');
  return header;
}

/** How many bytes fill up the last block of a file. */
export function paddingOf(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

/** Header, content and padding. */
export function entryBytes(sizeBytes: number): number {
  return BLOCK_BYTES + sizeBytes + paddingOf(sizeBytes);
}

/** Name and size that a header claims, for messages only: nothing of it is checked. */
export function claimOf(header: Buffer): { name: string; sizeBytes: number } {
  const name = header.subarray(0, MAX_NAME_BYTES).toString('latin1').split('\0', 1)[0] ?? '';
  const digits = header.subarray(124, 135).toString('latin1');
  return { name, sizeBytes: /^[0-7]{11}$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN };
}

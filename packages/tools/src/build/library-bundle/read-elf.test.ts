import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readElf } from './read-elf.ts';

/** A 64-bit program with a loader and two libraries, as small as it can be. */
function sampleElf(): Buffer {
  const file = Buffer.alloc(0x300);
  file.writeUInt32BE(0x7f454c46, 0);
  file[4] = 2;
  file[5] = 1;
  file.writeUInt16LE(62, 18);
  file.writeBigUInt64LE(64n, 32); // segments
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(3, 56);
  const segment = (index: number, type: number, offset: bigint, address: bigint, size: bigint) => {
    const at = 64 + index * 56;
    file.writeUInt32LE(type, at);
    file.writeBigUInt64LE(offset, at + 8);
    file.writeBigUInt64LE(address, at + 16);
    file.writeBigUInt64LE(size, at + 32);
  };
  segment(0, 1, 0n, 0x40_0000n, 0x300n);
  segment(1, 3, 0x200n, 0x40_0200n, 32n);
  segment(2, 2, 0x100n, 0x40_0100n, 80n);
  const entries: [bigint, bigint][] = [
    [1n, 1n],
    [5n, 0x40_0240n],
    [1n, 11n],
    [14n, 21n],
    [0n, 0n],
  ];
  for (const [i, [tag, value]] of entries.entries()) {
    file.writeBigUInt64LE(tag, 0x100 + i * 16);
    file.writeBigUInt64LE(value, 0x108 + i * 16);
  }
  file.write('/lib64/ld-linux-x86-64.so.2\0', 0x200);
  file.write('\0libm.so.6\0libc.so.6\0libself.so\0', 0x240);
  return file;
}

describe('readElf', () => {
  it('reads loader, libraries and name', () => {
    expect(readElf(sampleElf(), 'sample')).toEqual({
      machine: '62/64',
      interpreter: '/lib64/ld-linux-x86-64.so.2',
      soname: 'libself.so',
      needed: ['libm.so.6', 'libc.so.6'],
    });
  });

  it('refuses anything damaged with BUILD_FAILED', () => {
    const sample = sampleElf();
    fc.assert(
      fc.property(fc.nat(sample.length - 1), fc.nat(255), fc.nat(sample.length), (at, value, length) => {
        const damaged = Buffer.from(sample.subarray(0, length));
        if (at < length) damaged[at] = value;
        try {
          readElf(damaged, 'damaged');
        } catch (error) {
          expect(error).toMatchObject({ code: 'BUILD_FAILED' });
        }
      }),
    );
  });
});

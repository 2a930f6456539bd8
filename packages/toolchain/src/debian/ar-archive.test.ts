import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeDeb } from '../testing/debian-fixture.ts';
import { debDataMember, readAr, writeAr } from './ar-archive.ts';

const unsafe = expect.objectContaining({ code: 'ARCHIVE_UNSAFE' });

describe('readAr', () => {
  it('finds the file tree of a Debian package', async () => {
    expect(debDataMember(await makeDeb([{ name: './usr/a', content: 'x' }])).name).toBe('data.tar.gz');
  });

  it('refuses what is cut anywhere', async () => {
    const deb = await makeDeb([{ name: './usr/a', content: 'x'.repeat(300) }]);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: deb.length - 2 }), (length) => {
        expect(() => debDataMember(deb.subarray(0, length))).toThrow(unsafe);
      }),
    );
  });

  it('refuses anything else without reading beyond it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(() => readAr(bytes)).toThrow(unsafe);
        const framed = Buffer.concat([Buffer.from('!<arch>\n'), bytes]);
        if (bytes.length > 0) expect(() => debDataMember(framed)).toThrow(unsafe);
      }),
    );
  });

  it('does not take another package format for one', () => {
    expect(() => debDataMember(writeAr([{ name: 'a.o', data: new Uint8Array(3) }]))).toThrow(unsafe);
  });
});

describe('writeAr', () => {
  it('keeps long names in a table and pads odd members', () => {
    const archive = writeAr([
      { name: 'a_very_long_name_of_a_source_file.c.o', data: Buffer.from('odd') },
      { name: 'b.o', data: Buffer.from('even') },
    ]);
    const [table, first, second] = readAr(archive);
    expect(Buffer.from(table?.data ?? []).toString()).toBe('a_very_long_name_of_a_source_file.c.o/\nb.o/\n');
    expect(first?.name).toBe('/0');
    expect(Buffer.from(first?.data ?? []).toString()).toBe('odd');
    expect(Buffer.from(second?.data ?? []).toString()).toBe('even');
  });
});

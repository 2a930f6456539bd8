import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNpy, decodeNpyHeader, encodeNpyHeader, openNpy } from './index.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'npy-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const shapes = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 5 });

describe('npy header', () => {
  it('comes back as it was written, aligned to 64 bytes', () => {
    fc.assert(
      fc.property(fc.constantFrom('float32', 'int64'), fc.array(fc.nat(1_000_000), { minLength: 1, maxLength: 2 }), (type, shape) => {
        const bytes = encodeNpyHeader({ type, shape });
        expect(decodeNpyHeader(bytes)).toEqual({ type, shape, dataOffset: bytes.length });
        expect(bytes.length % 64).toBe(0);
      }),
    );
  });

  it('refuses any damaged header with DATASET_FORMAT and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(79), (noise, position) => {
        const bytes = Buffer.from(encodeNpyHeader({ type: 'float32', shape: [3, 2] }));
        bytes.set(noise.subarray(0, Math.max(0, bytes.length - position)), Math.min(position, bytes.length));
        try {
          decodeNpyHeader(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'DATASET_FORMAT' });
        }
      }),
    );
  });

  it.each([
    ['big-endian', "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }"],
    ['Fortran order', "{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }"],
    ['a scalar', "{'descr': '<f4', 'fortran_order': False, 'shape': (), }"],
    ['an absurd size', "{'descr': '<f4', 'fortran_order': False, 'shape': (9007199254740991, 9007199254740991), }"],
  ])('refuses %s', (_what, text) => {
    const bytes = Buffer.alloc(10 + text.length);
    bytes.write('\x93NUMPY\x01\x00', 'latin1');
    bytes.writeUInt16LE(text.length, 8);
    bytes.write(text, 10, 'latin1');
    expect(() => decodeNpyHeader(bytes)).toThrow(expect.objectContaining({ code: 'DATASET_FORMAT' }));
  });
});

describe('npy file', () => {
  it('gives back every row that was written, in any portions', async () => {
    let n = 0;
    await fc.assert(
      fc.asyncProperty(shapes, fc.integer({ min: 1, max: 7 }), async (shape, portion) => {
        const path = join(folder, `rows-${n++}.npy`);
        const length = shape.reduce((product, dim) => product * dim, 1);
        const values = Float32Array.from({ length }, (_, i) => i * 0.5);
        const writer = await createNpy(path, 'float32', shape);
        for (let i = 0; i < length; i += portion) await writer.write(values.subarray(i, i + portion));
        await writer.close();
        const reader = await openNpy(path, 'float32');
        expect(reader.header.shape).toEqual(shape);
        expect(await reader.readAll()).toEqual(values);
        for (let row = 0; row < reader.count; row += 1) {
          expect(await reader.readRows(row, 1)).toEqual(values.subarray(row * reader.rowLength, (row + 1) * reader.rowLength));
        }
        await reader.close();
      }),
      { numRuns: 40 },
    );
  });

  it('keeps int64 beyond what a double holds', async () => {
    const path = join(folder, 'labels.npy');
    const values = BigInt64Array.from([0n, -1n, 2n ** 62n + 1n]);
    const writer = await createNpy(path, 'int64', [3]);
    await writer.write(values);
    await writer.close();
    const reader = await openNpy(path, 'int64');
    expect(await reader.readAll()).toEqual(values);
    await reader.close();
  });

  it('writes rows larger than its buffer', async () => {
    const path = join(folder, 'large.npy');
    const values = Float32Array.from({ length: 700_000 }, (_, i) => i);
    const writer = await createNpy(path, 'float32', [2, 350_000]);
    await writer.write(values.subarray(0, 10));
    await writer.write(values.subarray(10));
    await writer.close();
    const reader = await openNpy(path, 'float32');
    expect(Buffer.compare(Buffer.from((await reader.readAll()).buffer), Buffer.from(values.buffer))).toBe(0);
    await reader.close();
  });

  it('does not close with values missing, and does not take too many', async () => {
    const few = await createNpy(join(folder, 'few.npy'), 'float32', [2, 2]);
    await few.write(new Float32Array(3));
    await expect(few.close()).rejects.toThrow('missing');
    const many = await createNpy(join(folder, 'many.npy'), 'float32', [1]);
    await expect(many.write(new Float32Array(2))).rejects.toThrow('More values');
    await many.abandon();
  });

  it('refuses a cut file and another element type', async () => {
    const path = join(folder, 'cut.npy');
    const writer = await createNpy(path, 'float32', [4]);
    await writer.write(new Float32Array(4));
    await writer.close();
    await expect(openNpy(path, 'int64')).rejects.toMatchObject({ code: 'DATASET_FORMAT' });
    await truncate(path, (await readFile(path)).length - 1);
    await expect(openNpy(path, 'float32')).rejects.toMatchObject({ code: 'DATASET_FORMAT' });
    await writeFile(path, '');
    await expect(openNpy(path, 'float32')).rejects.toMatchObject({ code: 'DATASET_FORMAT' });
  });
});

describe('npy and NumPy', () => {
  it('writes the bytes that numpy.save writes', async () => {
    const path = join(folder, 'numpy.npy');
    const writer = await createNpy(path, 'float32', [2, 3]);
    await writer.write(Float32Array.of(1, 2, 3, 4, 5, 6));
    await writer.close();
    const text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }".padEnd(117);
    const data = Buffer.from(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);
    const expected = Buffer.concat([Buffer.from(`\x93NUMPY\x01\x00v\x00${text}\n`, 'latin1'), data]);
    expect((await readFile(path)).equals(expected)).toBe(true);
  });
});

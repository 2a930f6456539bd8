import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { readBounded } from './read-bounded.ts';

describe('readBounded', () => {
  it('gives all bytes of a stream that has as many as it may', async () => {
    expect(await readBounded(Readable.from([Buffer.from('ab'), 'ç']), 4, 'too large')).toEqual(Buffer.from('abç'));
    expect(await readBounded(Readable.from([]), 0, 'too large')).toHaveLength(0);
  });

  it('refuses one more byte, and does not read on', async () => {
    let read = 0;
    const stream = Readable.from(
      (function* endless() {
        for (;;) {
          read += 1;
          yield Buffer.alloc(1024);
        }
      })(),
      { highWaterMark: 1 },
    );
    await expect(readBounded(stream, 4095, 'It is too large.')).rejects.toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
      message: 'It is too large.',
    });
    expect(stream.destroyed).toBe(true);
    expect(read).toBeLessThan(10);
  });
});

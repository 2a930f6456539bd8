import { MAX_OUTPUT_CHUNK_BYTES } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OutputBuffer } from './output-buffer.ts';

const source = fc.constantFrom('stdout' as const, 'stderr' as const);
const action = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), source, size: fc.integer({ min: 1, max: 200_000 }) }),
  // A read whose answer is lost is one after which the reader does not go on.
  fc.record({ kind: fc.constant('read' as const), lost: fc.boolean() }),
);

describe('OutputBuffer', () => {
  it('gives every byte once and in order to a reader that asks on, also when answers are lost', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 30 }), (actions) => {
        const buffer = new OutputBuffer();
        const written: Record<string, number[]> = { stdout: [], stderr: [] };
        const read: Record<string, number[]> = { stdout: [], stderr: [] };
        let after = 0;
        let counter = 0;
        const take = (lost: boolean) => {
          const chunks = buffer.read(after, 128 * 1024);
          chunks.forEach((chunk, at) => {
            expect(chunk.sequence).toBe(after + 1 + at);
            expect(chunk.sizeBytes).toBeLessThanOrEqual(MAX_OUTPUT_CHUNK_BYTES);
          });
          if (lost) return 0;
          for (const chunk of chunks) for (const part of chunk.parts) read[chunk.source]?.push(part.length, part[0] ?? 0);
          after = chunks.at(-1)?.sequence ?? after;
          return chunks.length;
        };
        const sum = (list: number[] | undefined) => (list ?? []).filter((_, at) => at % 2 === 0).reduce((a, b) => a + b, 0);
        for (const one of actions) {
          if (one.kind === 'read') take(one.lost);
          else {
            counter = (counter + 1) % 256;
            buffer.append(one.source, new Uint8Array(one.size).fill(counter));
            written[one.source]?.push(one.size, counter);
          }
        }
        while (take(false) > 0);
        for (const name of ['stdout', 'stderr']) expect(sum(read[name])).toBe(sum(written[name]));
        expect(buffer.read(after, 1)).toEqual([]);
        expect(buffer.unreadBytes).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});

import type { SequenceRange } from '@selvedge/contract';
import { type KeptRecord, sequenceOf } from '../../domain/spool-lines.ts';
import type { BatchWish, SpoolEntry } from '../../ports/spool.ts';

/** The entry as it is kept. */
export function keep(entry: SpoolEntry, sequence: number): KeptRecord {
  if (entry.kind === 'results') {
    const { at, ...results } = entry.results;
    return { sequence, kind: 'results', atMs: Date.parse(at), results };
  }
  const { at, summary: _, ...values } = entry.sample;
  return { sequence, kind: 'sample', atMs: Date.parse(at), values, summary: null };
}

/** Lines with these numbers. */
export function within(lines: readonly string[], { first, last }: SequenceRange): string[] {
  return lines.filter((line) => {
    const sequence = sequenceOf(line);
    return sequence >= first && sequence <= last;
  });
}

/** As many lines from that end as are wished. */
export function cut(lines: string[], range: SequenceRange, order: BatchWish['order'], maxRecords: number, maxBytes: number) {
  const fromEnd = order === 'newest';
  let bytes = 0;
  let count = 0;
  while (count < Math.min(maxRecords, lines.length)) {
    bytes += (lines.at(fromEnd ? -1 - count : count) ?? '').length;
    if (count > 0 && bytes > maxBytes) break;
    count += 1;
  }
  if (count === lines.length) return { lines, range };
  const chosen = fromEnd ? lines.slice(-count) : lines.slice(0, count);
  if (fromEnd) return { lines: chosen, range: { first: sequenceOf(chosen[0] ?? ''), last: range.last } };
  return { lines: chosen, range: { first: range.first, last: sequenceOf(chosen.at(-1) ?? '') } };
}

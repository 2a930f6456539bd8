import { join } from 'node:path';
import { hasNumber, type SequenceRange } from '@selvedge/contract';
import { writeFileAtomic } from '@selvedge/runtime';
import { aggregateRecords, TOP_LEVEL, totalWeight } from '../../domain/aggregate-records.ts';
import type { SpoolClock } from '../../domain/spool-clocks.ts';
import { formatRecord, type KeptRecord, parseRecords } from '../../domain/spool-lines.ts';
import { readLines, removeSegment, type Segment, segmentName } from './spool-folder.ts';

interface RoomRequest {
  folder: string;
  /** Oldest first. */
  segments: readonly Segment[];
  segmentBytes: number;
  targetBytes: number;
  acknowledged: readonly SequenceRange[];
  offered: readonly SequenceRange[];
  clocks: readonly SpoolClock[];
}

/** Which share of the budget each level may have before its oldest segment goes up a level: the nearer, the finer. */
const SHARES = [0.5, 0.25, 0.125, 0.125];
/** The days alone may have this share before the oldest are given up. */
const HIGHEST_SHARE = 0.5;

/** The oldest segment of the level that is most over its share; one of the highest only when nothing else would help for long. */
function nextVictim(segments: readonly Segment[]): Segment | undefined {
  const bytesOf = (level: number) => segments.filter((segment) => segment.level === level).reduce((sum, { bytes }) => sum + bytes, 0);
  const all = segments.reduce((sum, { bytes }) => sum + bytes, 0);
  const load = SHARES.map((share, level) => (level === TOP_LEVEL ? 0 : bytesOf(level) / share));
  const isLastResort = bytesOf(TOP_LEVEL) > all * HIGHEST_SHARE || Math.max(...load) === 0;
  const level = isLastResort ? TOP_LEVEL : load.indexOf(Math.max(...load));
  return segments.find((segment) => segment.level === level);
}

async function readRecords(request: RoomRequest, name: string): Promise<KeptRecord[]> {
  const lines = await readLines(request.folder, name);
  return (await parseRecords(lines)).filter(({ sequence }) => !hasNumber(request.acknowledged, sequence));
}

/** Records of different zones must not go together: sent ones and others, and those of different clocks. */
function zonesOf({ offered, clocks }: RoomRequest): (sequence: number) => string {
  const borders = [...offered.flatMap(({ first, last }) => [first, last + 1]), ...clocks.map(({ from }) => from)].toSorted((a, b) => a - b);
  return (sequence) => String(borders.findLastIndex((border) => border <= sequence));
}

/**
 * Puts the records of old segments together until they fit, and gives up the oldest of those that cannot be put together further.
 *
 * A cut at any moment leaves the old segment or the new one, or both, of which the next start removes the old one.
 */
export async function makeRoom(request: RoomRequest): Promise<{ segments: Segment[]; aggregated: number; dropped: number }> {
  const { folder, targetBytes } = request;
  const zoneOf = zonesOf(request);
  let segments = [...request.segments];
  let aggregated = 0;
  let dropped = 0;
  while (segments.reduce((sum, { bytes }) => sum + bytes, 0) > targetBytes) {
    const victim = nextVictim(segments);
    if (victim === undefined) break;
    const records = await readRecords(request, victim.name);
    if (victim.level === TOP_LEVEL || records.length === 0) {
      await removeSegment(folder, victim.name);
      segments = segments.filter((segment) => segment !== victim);
      dropped += totalWeight(records);
      continue;
    }
    const level = victim.level + 1;
    const neighbour = segments[segments.indexOf(victim) - 1];
    const isJoined = neighbour?.level === level && neighbour.bytes < request.segmentBytes / 2;
    const older = isJoined ? await readRecords(request, neighbour.name) : [];
    const made = aggregateRecords([...older, ...records], level, zoneOf);
    const range = { first: isJoined ? neighbour.first : victim.first, last: victim.last };
    const text = made.map((record) => `${formatRecord(record)}\n`).join('');
    const name = segmentName(range, level, made.length);
    await writeFileAtomic(join(folder, name), text, { mode: 0o600 });
    await removeSegment(folder, victim.name);
    if (isJoined) await removeSegment(folder, neighbour.name);
    const next = { ...range, name, level, records: made.length, bytes: Buffer.byteLength(text) };
    segments = segments.flatMap((segment) => (segment === victim ? [next] : isJoined && segment === neighbour ? [] : [segment]));
    aggregated += records.length + older.length - made.length;
  }
  return { segments, aggregated, dropped };
}

import { join } from 'node:path';
import { readTextFile, writeFileAtomic } from '@selvedge/runtime';

export interface TrafficCount {
  /** Of UTC. */
  day: string;
  bytes: number;
}

/** How many bytes the agent has moved today, in `traffic.json`; undefined when nothing is known. */
export async function readTraffic(dir: string): Promise<TrafficCount | undefined> {
  const text = (await readTextFile(join(dir, 'traffic.json')).catch(() => undefined)) ?? '';
  // By hand, not by a schema: what an idle agent loads has to be small.
  const [, day, bytes] = /^\{"day":"(\d{4}-\d\d-\d\d)","bytes":(\d+)\}$/.exec(text) ?? [];
  return day === undefined || bytes === undefined ? undefined : { day, bytes: Number(bytes) };
}

export function writeTraffic(dir: string, { day, bytes }: TrafficCount): Promise<void> {
  return writeFileAtomic(join(dir, 'traffic.json'), JSON.stringify({ day, bytes }), { mayRevert: true });
}

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readJsonFile, writeJsonAtomic } from '@selvedge/runtime';
import * as z from 'zod';

const refusalSchema = z.object({ code: z.string(), message: z.string() });
export type Refusal = z.infer<typeof refusalSchema>;

const FILE = 'refused.json';

/** Why the server does not let this device connect; undefined while it does. */
export function readRefusal(dir: string): Promise<Refusal | undefined> {
  return readJsonFile(join(dir, FILE), refusalSchema);
}

export async function writeRefusal(dir: string, refusal: Refusal | undefined): Promise<void> {
  if (refusal === undefined) await rm(join(dir, FILE), { force: true });
  else await writeJsonAtomic(join(dir, FILE), refusal, { mayRevert: true });
}

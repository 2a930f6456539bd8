import { join } from 'node:path';
import type { targetsFileSchema } from '@selvedge/contract';
import { writeJsonAtomic } from '@selvedge/runtime';
import type { z } from 'zod';
import { readTargets } from '../installed-target.ts';
import { installedBytes } from './target-size.ts';

type TargetsFile = z.infer<typeof targetsFileSchema>;

export const TARGETS_FILE = 'targets.json';

/** Writes `targets.json`: what a server that shares the folder shows of it, without knowing recipes or locks. */
export async function writeTargetsFile(targetsDir: string, recipesDir?: string): Promise<void> {
  const states = await readTargets(targetsDir, recipesDir);
  const file: TargetsFile = {
    formatVersion: 1,
    targets: await Promise.all(
      states.map(async ({ recipe, installed }) => ({
        name: recipe.name,
        description: recipe.description,
        installed: installed !== undefined,
        extras: [...(installed?.extras ?? [])],
        sizeBytes: installed === undefined ? null : await installedBytes(installed.folder),
        compiler: installed === undefined ? null : installed.lock.compiler,
      })),
    ),
  };
  await writeJsonAtomic(join(targetsDir, TARGETS_FILE), file);
}

import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '@selvedge/runtime';
import type { Layout } from './layout.ts';
import { readTargetLock, readToolchainLock } from './lock-file.ts';

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Names of the targets in a folder, whether a recipe of theirs is still there or not. */
export async function installedNames(layout: Layout): Promise<string[]> {
  const names: string[] = [];
  for (const name of await namesIn(layout.root)) {
    if (/^[a-z0-9]+(-[a-z0-9]+)+$/.test(name) && (await readTargetLock(layout.target(name))) !== undefined) names.push(name);
  }
  return names;
}

/** Deletes packages that no lock names: those of earlier versions. Indexes stay for a while, being asked for each time. */
export async function discardDownloads(layout: Layout): Promise<void> {
  const used = new Set<string>();
  for (const name of await installedNames(layout)) {
    const lock = await readTargetLock(layout.target(name));
    for (const { sha256 } of [...(lock?.packages ?? []), ...(lock?.sources ?? [])]) used.add(sha256);
  }
  for (const arch of await namesIn(join(layout.root, 'toolchain'))) {
    for (const { sha256 } of (await readToolchainLock(layout.toolchain(arch)))?.packages ?? []) used.add(sha256);
  }
  const dayAgo = Date.now() - 24 * 3600 * 1000;
  for (const name of await namesIn(layout.downloads)) {
    const path = join(layout.downloads, name);
    if (!used.has(name.replace(/\.part$/, '')) && (await stat(path)).mtimeMs < dayAgo) await rm(path, { force: true });
  }
}

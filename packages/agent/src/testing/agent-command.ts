import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGES = fileURLToPath(new URL('../../..', import.meta.url));
const BUNDLE = join(PACKAGES, 'agent/dist/agent.js');
/** What the bundle is made of. */
const SOURCES = ['agent', 'contract', 'runtime', 'device-link', 'graph'];

function newestSourceMs(): number {
  let newest = 0;
  for (const name of SOURCES) {
    const folder = join(PACKAGES, name, 'src');
    for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
      if (entry.endsWith('.ts') && !/(^|\/)testing\/|\.test\.ts$/.test(entry))
        newest = Math.max(newest, statSync(join(folder, entry)).mtimeMs);
  }
  return newest;
}

/**
 * How tests start the agent: its bundle, which is there in a second less, when that is newer than all of its sources; else the sources
 * themselves.
 */
export function agentCommand(): string[] {
  const bundledMs = statSync(BUNDLE, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (bundledMs > newestSourceMs()) return [process.execPath, BUNDLE];
  return [process.execPath, '--import', 'tsx', join(PACKAGES, 'agent/src/main.ts')];
}

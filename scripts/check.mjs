// `npm run check`: everything that a machine can say about the code without starting the product.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkNode, ensureInstalled, ROOT, run, step } from './setup/setup.mjs';

const MAX_LINES = 400;
const SOURCE = /\.(ts|tsx|mjs|cjs|css|py)$/;

function longFiles() {
  const found = [];
  for (const folder of ['packages', 'scripts', 'tests', 'examples', 'clients']) {
    for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true })) {
      const parent = entry.parentPath ?? entry.path;
      if (!entry.isFile() || !SOURCE.test(entry.name) || /\/(node_modules|dist)(\/|$)/.test(parent)) continue;
      const lines = readFileSync(join(parent, entry.name), 'utf8').split('\n').length - 1;
      if (lines > MAX_LINES)
        found.push(`${join(parent, entry.name).slice(ROOT.length)}: ${lines} lines, ${MAX_LINES} at most; split it by noun or duty`);
    }
  }
  return found;
}

const checks = [
  ['Types', () => run('npx', ['tsc', '-p', 'tsconfig.json'], { quiet: true })],
  ['Types of pure layers (no Node, no DOM)', () => run('npx', ['tsc', '-p', 'tsconfig.pure.json'], { quiet: true })],
  ['Types of the web UI', () => run('npx', ['tsc', '--noEmit', '-p', 'packages/web/tsconfig.json'], { quiet: true })],
  ['Lint and format', () => run('npx', ['biome', 'ci', '--error-on-warnings', '--colors=off', '.'], { quiet: true })],
  [
    'Import rules',
    () => run('npx', ['depcruise', '--config', '.dependency-cruiser.cjs', 'packages', 'scripts', 'tests', 'examples'], { quiet: true }),
  ],
  ['Unused files, exports and dependencies', () => run('npx', ['knip'], { quiet: true })],
  [
    'File length',
    async () => {
      const found = longFiles();
      if (found.length > 0) throw new Error(found.join('\n'));
    },
  ],
  ['Generated files', () => run('npx', ['tsx', 'scripts/generate.ts', '--check'], { quiet: true })],
];

const unknown = process.argv.slice(2).find((argument) => argument !== '--no-tests');
if (unknown !== undefined) {
  process.stderr.write(`error: "${unknown}" is not an option; there is only --no-tests.\n`);
  process.exit(2);
}
checkNode();
const failed = [];
await ensureInstalled();
// Most checks keep one core busy; two at a time, the longest first.
const waiting = [...checks];
const work = async () => {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const [name, check] = next;
    try {
      await step(name, check, { live: false });
    } catch (error) {
      process.stderr.write(`${error.message}\n`);
      failed.push(name);
    }
  }
};
await Promise.all([work(), work()]);
if (!process.argv.includes('--no-tests')) {
  try {
    await run('npx', ['vitest', 'run', '--project', 'unit']);
  } catch {
    failed.push('Unit tests');
  }
}
process.stdout.write(failed.length === 0 ? 'All checks passed.\n' : `Failed: ${failed.join(', ')}\n`);
process.exitCode = failed.length === 0 ? 0 : 1;

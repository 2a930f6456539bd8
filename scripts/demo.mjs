// `npm run demo`: sets up what is missing, then runs the demo proper.
import { checkNode, ensureBuilt, ensureInstalled, step } from './setup/setup.mjs';

checkNode();
const startedAt = performance.now();
const wantsHelp = process.argv.includes('--help');
try {
  await ensureInstalled();
  if (!wantsHelp) await ensureBuilt();
} catch (error) {
  process.stderr.write(
    `error: ${error.message}\nhint: better-sqlite3 needs a C++ compiler, make and python3 where no prebuilt binary can be downloaded ("apt-get install g++ make python3").\n`,
  );
  process.exit(6);
}
const { register } = await import('tsx/esm/api');
register();
const { runDemo } = await import('./demo/main.ts');
await runDemo({ setupSeconds: (performance.now() - startedAt) / 1000, step });

// `npm run dev`: the server, its tools and the agents run from source and start again when a file changes; the UI by Vite with hot reload.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { checkNode, ensureInstalled, ROOT } from './setup/setup.mjs';

checkNode();
await ensureInstalled();

const children = [
  spawn(
    process.execPath,
    [
      '--watch-path',
      'packages/server/src',
      '--watch-path',
      'packages/tools/src',
      '--watch-path',
      'packages/contract/src',
      '--watch-path',
      'packages/runtime/src',
      '--watch-path',
      'packages/graph/src',
      '--watch-preserve-output',
      '--import',
      'tsx',
      'packages/server/src/main.ts',
      '--data',
      '.selvedge/dev',
      ...process.argv.slice(2),
    ],
    { cwd: ROOT, stdio: 'inherit' },
  ),
  spawn('npx', ['vite', '--clearScreen', 'false'], { cwd: join(ROOT, 'packages/web'), stdio: 'inherit' }),
];
const stop = () => {
  for (const child of children) child.kill('SIGTERM');
};
process.on('SIGINT', stop);
process.on('SIGTERM', stop);
await Promise.all(children.map((child) => new Promise((resolve) => child.on('exit', resolve))));

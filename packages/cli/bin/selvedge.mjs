#!/usr/bin/env node
// Starts the bundled command line; says what is missing when it cannot. Old Node versions must be able to parse this file.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SETUP_INCOMPLETE_EXIT_CODE = 6;
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const bundle = new URL('../dist/selvedge.js', import.meta.url);

function refuse(message, hint) {
  process.stderr.write(`error: ${message}\nhint: ${hint}\n`);
  process.exitCode = SETUP_INCOMPLETE_EXIT_CODE;
}

if (major < 20 || (major === 20 && minor < 19)) {
  refuse(`selvedge needs Node 20.19 or newer; this is ${process.versions.node}.`, 'Install a newer Node from https://nodejs.org.');
} else if (!existsSync(bundle)) {
  refuse(
    `${fileURLToPath(bundle)} does not exist: the command line has not been built.`,
    'Run "npm run build" in the root of the repository.',
  );
} else {
  await import(bundle.href);
}

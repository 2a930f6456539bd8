// `npm test`: sets up what the tests need, runs them all and ends with one line "N passed, N failed, N skipped".
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkNode, ensureBuilt, ensureInstalled, ROOT, run, step } from './setup/setup.mjs';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

function findChromium() {
  return process.env.SELVEDGE_CHROMIUM ?? CHROMIUM.find((path) => existsSync(path));
}

/** On Debian as root the browser is installed; elsewhere its tests are skipped, and it is said why. */
async function ensureChromium() {
  const isRoot = process.getuid?.() === 0;
  if (findChromium() === undefined && isRoot && existsSync('/usr/bin/apt-get')) {
    await step('Installing Chromium (apt-get)', async () => {
      await run('apt-get', ['update', '-qq'], { quiet: true });
      await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium'], {
        quiet: true,
        env: { DEBIAN_FRONTEND: 'noninteractive' },
      });
    }).catch((error) => process.stderr.write(`${error.message}\n`));
  }
  const found = findChromium();
  if (found === undefined)
    process.stdout.write('Missing: Chromium. The browser tests are skipped; install it, or set SELVEDGE_CHROMIUM to its path.\n');
  return found;
}

checkNode();
try {
  await ensureInstalled();
  await ensureBuilt();
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(6);
}
const chromium = await ensureChromium();

const folder = mkdtempSync(join(tmpdir(), 'selvedge-test-'));
const output = join(folder, 'results.json');
const args = ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${output}`, ...process.argv.slice(2)];
const env = { ...process.env, ...(chromium === undefined ? {} : { SELVEDGE_CHROMIUM: chromium }) };
const { status } = spawnSync('npx', args, { cwd: ROOT, stdio: 'inherit', env });
if (!existsSync(output)) {
  process.stderr.write('The test runner ended without results.\n');
  process.exit(status ?? 1);
}
const results = JSON.parse(readFileSync(output, 'utf8'));
rmSync(folder, { recursive: true, force: true });
const skipped = results.numPendingTests + (results.numTodoTests ?? 0);
// A file that could not even be loaded has no tests to count; it is a failure all the same.
const brokenFiles = results.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length;
process.stdout.write(`\n${results.numPassedTests} passed, ${results.numFailedTests + brokenFiles} failed, ${skipped} skipped\n`);
process.exitCode = status === 0 && results.numFailedTests + brokenFiles === 0 && results.numPassedTests > 0 ? 0 : 1;

// `npm test`: sets up what the tests need, runs them all and ends with one line "N passed, N failed, N skipped".
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkNode, ensureBuilt, ensureInstalled, ROOT } from './setup/setup.mjs';
import { ensureChromium, ensureMosquitto, ensureNativePrograms, startPostgres } from './setup/test-services.mjs';

checkNode();
try {
  await ensureInstalled();
  await ensureBuilt();
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(6);
}
const chromium = await ensureChromium();
await ensureNativePrograms();
await ensureMosquitto();
const postgres = await startPostgres().catch((error) => {
  // On a build machine a service that does not start is a failure, not a reason to test less.
  if (process.env.CI) throw error;
  process.stdout.write(`${error.message}\nThe PostgreSQL tests are skipped.\n`);
  return undefined;
});

const folder = mkdtempSync(join(tmpdir(), 'selvedge-test-'));
const output = join(folder, 'results.json');
const args = ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${output}`, ...process.argv.slice(2)];
const env = {
  ...process.env,
  ...(chromium && { SELVEDGE_CHROMIUM: chromium }),
  ...(postgres && { SELVEDGE_TEST_POSTGRES: postgres.url }),
};
const { status } = spawnSync('npx', args, { cwd: ROOT, stdio: 'inherit', env });
await postgres?.stop();
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

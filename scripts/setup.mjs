// `npm run setup`: packages and bundles, where they are missing or out of date.
import { checkNode, ensureBuilt, ensureInstalled } from './setup/setup.mjs';

checkNode();
try {
  await ensureInstalled();
  await ensureBuilt();
  process.stdout.write('Ready. Next: npx selvedge up\n');
} catch (error) {
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = 6;
}

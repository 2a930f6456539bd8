// Installs the target of the tests and prints each phase, so that a test can kill it in one.
import { installTarget } from '../install/install-target.ts';
import { FIXTURE_TARGET } from './fixture-recipes.ts';

const [targetsDir = '', recipesDir = ''] = process.argv.slice(2);
await installTarget(FIXTURE_TARGET, {
  targetsDir,
  recipesDir,
  onProgress: ({ phase, what }) => process.stdout.write(`${phase} ${what}\n`),
});

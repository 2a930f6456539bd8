import { stat } from 'node:fs/promises';
import { AppError } from '@selvedge/contract';
import { exitWithParent, runMain } from '@selvedge/runtime';
import { applyDelta, openedParts } from '@selvedge/runtime/delta';

/** A process of its own: the agent does without a compiler, and must go on watching over what serves meanwhile. */
void runMain(async () => {
  exitWithParent(() => process.exit(0));
  const [base, patch, destination, sha256, size] = process.argv.slice(2);
  const sizeBytes = Number(size);
  if (base === undefined || patch === undefined || destination === undefined || sha256 === undefined || !Number.isInteger(sizeBytes))
    throw new AppError('USAGE', { message: 'usage: patcher BASE PATCH DESTINATION SHA256 SIZE' });
  // the folder of a package stands for its files
  const parts = (await stat(base)).isDirectory() ? await openedParts(base) : base;
  await applyDelta({ base: parts, patch, destination, sha256, sizeBytes });
  return 0;
});

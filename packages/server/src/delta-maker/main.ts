import { AppError } from '@selvedge/contract';
import { exitWithParent, runMain } from '@selvedge/runtime';
import { makeDelta, makePackageDelta } from '@selvedge/runtime/delta-making';

/** A process of its own, because making a patch takes the memory of a model and every cycle of a core for seconds. */
await runMain(async () => {
  exitWithParent(() => process.exit(0));
  const [base, target, patch, limit, kind] = process.argv.slice(2);
  const maxBytes = Number(limit);
  if (base === undefined || target === undefined || patch === undefined || !Number.isInteger(maxBytes))
    throw new AppError('USAGE', { message: 'usage: delta-maker BASE TARGET PATCH MAX_BYTES [file|package]' });
  const given = { base, target, patch, maxBytes };
  const made = kind === 'package' ? await makePackageDelta(given) : { sizeBytes: await makeDelta(given) };
  process.stdout.write(`${JSON.stringify({ ...made, sizeBytes: made?.sizeBytes ?? null })}\n`);
  return 0;
});

import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { AppError, toAppError } from '@selvedge/contract';

/** Most samples that a script makes, and the largest seed. */
const MAX_NUMBER = 1_000_000;

/**
 * Runs a script that makes a dataset, if this file was started and not imported: reads `--out` and the numbers from the
 * command line, prints what `make` returns, and says what is wrong otherwise.
 *
 * @param numbers - the options with their defaults; whole numbers from 0.
 */
export async function runScript<N extends Record<string, number>>(
  moduleUrl: string,
  numbers: N,
  make: (options: N & { out: string }) => Promise<string>,
): Promise<void> {
  if (process.argv[1] === undefined || moduleUrl !== pathToFileURL(process.argv[1]).href) return;
  try {
    process.stdout.write(`${await make(readOptions(numbers))}\n`);
  } catch (error) {
    const failure = toAppError(error);
    process.stderr.write(`${failure.message}${failure.details.hint ? ` ${failure.details.hint}` : ''}\n`);
    process.exitCode = failure.exitCode;
  }
}

function readOptions<N extends Record<string, number>>(numbers: N): N & { out: string } {
  const usage = `Usage: --out DIR ${Object.entries(numbers)
    .map(([name, value]) => `[--${name} ${value}]`)
    .join(' ')}`;
  const options = Object.fromEntries(['out', ...Object.keys(numbers)].map((name) => [name, { type: 'string' as const }]));
  let values: Record<string, unknown>;
  try {
    values = parseArgs({ options }).values;
  } catch (error) {
    throw new AppError('USAGE', { message: error instanceof Error ? error.message : String(error), hint: usage }, { cause: error });
  }
  if (typeof values.out !== 'string') throw new AppError('USAGE', { message: '--out is missing.', hint: usage });
  const read = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, Number(values[name] ?? value)]));
  const wrong = Object.entries(read).filter(([, value]) => !Number.isInteger(value) || value < 0 || value > MAX_NUMBER);
  if (wrong.length > 0) {
    const named = wrong.map(([name]) => `--${name}`).join(', ');
    throw new AppError('USAGE', { message: `${named} must be a whole number from 0 to ${MAX_NUMBER}.`, hint: usage });
  }
  return { ...numbers, ...read, out: values.out };
}

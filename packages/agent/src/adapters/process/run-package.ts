import { AppError } from '@selvedge/contract';
import { emulatorEnv } from './emulator-env.ts';

const MAX_OUTPUT_BYTES = 1024 * 1024;

/**
 * Runs the executable of a native package to its end.
 *
 * @returns what it printed on stdout.
 * @throws AppError WORKLOAD_FAILED (operational) with what it said on stderr.
 */
export async function runPackage(
  folder: string,
  args: readonly string[],
  options: { emulator?: string | undefined; timeoutMs: number },
): Promise<string> {
  const { execFile } = await import('node:child_process'); // not before a package is measured
  const command = [...(options.emulator === undefined ? [] : [options.emulator]), `${folder}/run`, ...args];
  const [program = '', ...rest] = command;
  const limits = { timeout: options.timeoutMs, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES } as const;
  return new Promise((resolve, reject) => {
    execFile(program, rest, { ...limits, env: { ...process.env, ...emulatorEnv(options.emulator) } }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const said = stderr.trim().split('\n').slice(-3).join(' ');
      const how = error.killed === true ? `it took longer than ${Math.round(options.timeoutMs / 1000)} s` : said || error.message;
      reject(new AppError('WORKLOAD_FAILED', { message: `The package could not be measured: ${how.slice(0, 1000)}` }));
    });
  });
}

import { AppError } from '@selvedge/contract';
import { EXIT_WITH_PARENT_ENV } from '@selvedge/runtime';

export interface PatchRequest {
  /** A file, or the folder of a native package, which stands for its files. */
  base: string;
  patch: string;
  destination: string;
  /** Of the result. */
  sha256: string;
  sizeBytes: number;
  signal: AbortSignal;
}

const TIME_LIMIT_MS = 30 * 60_000;
const MAX_COMPLAINT = 2000;

/**
 * Applies a patch in a process of its own. What an aborted one leaves beside the destination is overwritten by the next.
 *
 * @param command - starts `patcher`.
 * @throws AppError DIGEST_MISMATCH (operational) when it does not give the result; the signal's reason when aborted.
 */
export async function runPatcher(command: readonly string[], request: PatchRequest): Promise<void> {
  const { spawn } = await import('node:child_process'); // not before the first patch
  const { base, patch, destination, sha256, sizeBytes, signal } = request;
  const [program = '', ...args] = command;
  signal.throwIfAborted();
  const child = spawn(program, [...args, base, patch, destination, sha256, String(sizeBytes)], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, [EXIT_WITH_PARENT_ENV]: '1' },
    signal,
    timeout: TIME_LIMIT_MS,
    killSignal: 'SIGKILL', // it computes, and would not hear of anything else
  });
  let complaint = '';
  child.stdin.on('error', () => undefined);
  child.stderr.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString('utf8')).slice(-MAX_COMPLAINT);
  });
  const end = await new Promise<number | string | null>((resolve, reject) => {
    child.on('error', (error) => reject(signal.aborted ? signal.reason : error));
    child.on('close', (code, by) => resolve(code ?? by));
  });
  signal.throwIfAborted();
  if (end !== 0) throw new AppError('DIGEST_MISMATCH', { message: `The patch could not be applied (${end}): ${complaint.trim()}` });
}

import { spawn } from 'node:child_process';
import { EXIT_WITH_PARENT_ENV, type Logger } from '@selvedge/runtime';
import type { ModelProcess } from '../../ports/model-process.ts';
import type { ProxyRequest } from '../../ports/trial-means.ts';
import { ChildModelProcess, DEFAULT_LIVENESS } from './child-model-process.ts';

/** A proxy that does not answer is soon given up: the version of before is reached without it. */
const LIMITS = { ...DEFAULT_LIVENESS, pingEveryMs: 1000, pingTimeoutMs: 3000, readyTimeoutMs: 20_000 };

/**
 * Starts the trial proxy as a child process, which speaks with us as a model server does and ends with us.
 *
 * @param command - program and first arguments of the proxy.
 * @throws AppError WORKLOAD_FAILED (operational).
 */
export async function startTrialProxy(
  command: readonly string[],
  request: ProxyRequest,
  log: Logger,
  signal: AbortSignal,
): Promise<ModelProcess> {
  const { workload, mode, share, seed, port, previousPort } = request;
  const [program = '', ...args] = command;
  const flags = ['--mode', mode, '--share', `${share}`, '--seed', seed, '--port', `${port}`, '--previous-port', `${previousPort}`];
  const child = spawn(program, [...args, ...flags], {
    env: { ...process.env, [EXIT_WITH_PARENT_ENV]: '1' },
    stdio: ['pipe', 'ignore', 'inherit', 'ipc'],
  });
  const started = new ChildModelProcess(child, `${workload} trial proxy`, LIMITS, log);
  await started.listening(signal);
  return started;
}

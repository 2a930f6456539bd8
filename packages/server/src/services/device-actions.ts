import { AppError, type operationInputSchema } from '@selvedge/contract';
import type * as z from 'zod';
import type { Store } from '../ports/store.ts';
import type { DeviceLink } from './device-link.ts';
import type { OperationHandler } from './operation-handler.ts';
import { streamOf } from './program-operation.ts';

const ANSWER_MS = 15_000;
/** Draining, starting and probing a model again on a small machine. */
const RESTART_MS = 120_000;
const EXPIRES_S = 600;

/** The device answers when the workload serves again. */
export function restartHandler(link: DeviceLink): OperationHandler<'restart-workload'> {
  return {
    waitsForDevices: false,
    expiresInS: EXPIRES_S,
    run: async ({ device, task, signal }) => {
      await link.ask(device, { type: 'restart-workload', workload: task.workload }, { timeoutMs: RESTART_MS, patienceMs: 0, signal });
      return {};
    },
  };
}

/** Succeeds when the device has said that it will: nobody hears of it before it is back. */
export function rebootHandler(link: DeviceLink): OperationHandler<'reboot'> {
  return {
    waitsForDevices: false,
    expiresInS: EXPIRES_S,
    run: async ({ device, task, operation, signal }) => {
      const command = { type: 'reboot', stream: streamOf({ operation }), delayS: task.delayS } as const;
      await link.ask(device, command, { timeoutMs: ANSWER_MS, patienceMs: ANSWER_MS, signal });
      return {};
    },
  };
}

/**
 * Passes on what was typed into a shell.
 * @throws AppError NOT_FOUND, CONFLICT (it is no shell, or has ended), or what the device answers.
 */
export async function writeInput(
  store: Store,
  link: DeviceLink,
  name: string,
  { device, ...input }: z.output<typeof operationInputSchema>,
  signal: AbortSignal,
): Promise<void> {
  const operation = await store.get('Operation', name);
  const one = operation?.status.devices.find((known) => known.device === device);
  if (operation === undefined || one === undefined)
    throw new AppError('NOT_FOUND', { message: `There is no operation "${name}" on a device "${device}".` });
  if (operation.spec.task.type !== 'shell' || one.finishedAt !== null)
    throw new AppError('CONFLICT', { message: `"${name}" is no open shell on "${device}".` });
  const command = { type: 'write-input', stream: streamOf({ operation }), ...input } as const;
  await link.ask(device, command, { timeoutMs: ANSWER_MS, patienceMs: ANSWER_MS * 2, signal });
}

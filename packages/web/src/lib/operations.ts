import type { Operation, OperationDevice, OperationTask } from '@selvedge/contract';
import { formatBytes } from './format.ts';
import type { Status } from './status.ts';

/** What was asked, in a few words. */
export function taskText(task: OperationTask): string {
  switch (task.type) {
    case 'push':
      return `${task.check === true ? 'Compare' : 'Push'} ${task.file.name} to ${task.path}`;
    case 'push-folder':
      return `${task.check === true ? 'Compare' : 'Push'} ${task.file.name}/ to ${task.path}`;
    case 'pull':
      return `${task.check === true ? 'Look at' : 'Pull'} ${task.path}`;
    case 'exec':
      return `Run ${task.argv.join(' ')}`;
    case 'shell':
      return 'Open a shell';
    case 'restart-workload':
      return `Restart ${task.workload}`;
    case 'reboot':
      return 'Reboot';
  }
}

export function operationStatus(state: OperationDevice['state']): Status {
  const tones = { waiting: 'idle', running: 'busy', succeeded: 'ok', failed: 'bad', cancelled: 'idle' } as const;
  return { tone: tones[state], text: state.charAt(0).toUpperCase() + state.slice(1) };
}

/** How far it is on a device: 0..1, undefined where nothing is measured. */
export function deviceShare({ progress, state }: OperationDevice): number | undefined {
  if (state === 'succeeded') return 1;
  if (progress === null || progress.totalBytes === 0) return undefined;
  return progress.doneBytes / progress.totalBytes;
}

/** Share of the devices on which it has ended, those under way in part. */
export function operationShare({ status }: Operation): number {
  if (status.finishedAt !== null) return 1;
  const ended = (one: OperationDevice) => (one.finishedAt === null ? (deviceShare(one) ?? 0) : 1);
  return status.devices.length === 0 ? 0 : status.devices.reduce((sum, one) => sum + ended(one), 0) / status.devices.length;
}

/** What came of it on a device, or how far it is. */
export function resultText({ progress, exitCode, changed, error, state }: OperationDevice): string {
  if (error !== null) return exitCode === null ? error.message : `exit code ${exitCode}`;
  const parts = [
    ...(exitCode === null ? [] : [`exit code ${exitCode}`]),
    ...(progress === null
      ? []
      : [
          state === 'running'
            ? `${formatBytes(progress.doneBytes)} of ${formatBytes(progress.totalBytes)}`
            : formatBytes(progress.doneBytes),
        ]),
    ...(changed === null ? [] : [changed ? 'changed' : 'unchanged']),
  ];
  return parts.join(', ');
}

export function newestFirst(operations: readonly Operation[]): Operation[] {
  return operations.toSorted((a, b) => (a.metadata.createdAt < b.metadata.createdAt ? 1 : -1));
}

import type { Operation, OperationDevice, OperationTask } from '@selvedge/contract';
import type { Session } from '../session.ts';
import { ageOf, formatBytes, orDash } from './format.ts';
import { renderFields, renderTable } from './table.ts';

/** What was asked, in a few words. */
function taskText(task: OperationTask): string {
  switch (task.type) {
    case 'push':
      return `${task.check === true ? 'compare' : 'push'} ${task.file.name} to ${task.path}`;
    case 'push-folder':
      return `${task.check === true ? 'compare' : 'push'} ${task.file.name}/ to ${task.path}`;
    case 'pull':
      return `${task.check === true ? 'look at' : 'pull'} ${task.path}`;
    case 'exec':
      return `exec ${task.argv.join(' ')}`;
    case 'shell':
      return 'shell';
    case 'restart-workload':
      return `restart ${task.workload}`;
    case 'reboot':
      return task.delayS === 0 ? 'reboot' : `reboot in ${task.delayS} s`;
  }
}

/** Like `2 of 3 succeeded, 1 failed`. */
export function countText({ devices }: Operation['status']): string {
  const count = (state: OperationDevice['state']) => devices.filter((one) => one.state === state).length;
  const parts = (['waiting', 'running', 'failed', 'cancelled'] as const).filter((state) => count(state) > 0);
  return [`${count('succeeded')} of ${devices.length} succeeded`, ...parts.map((state) => `${count(state)} ${state}`)].join(', ');
}

export function operationTable(session: Session, operations: readonly Operation[]): string {
  const now = session.io.now();
  const rows = operations.map(({ metadata, spec, status }) => [
    metadata.name,
    session.state(status.state),
    taskText(spec.task).slice(0, 60),
    spec.target,
    countText(status),
    spec.by,
    ageOf(metadata.createdAt, now),
  ]);
  return renderTable(['OPERATION', 'STATE', 'TASK', 'DEVICES', 'RESULT', 'BY', 'AGE'], rows);
}

function progressText({ progress, state }: OperationDevice): string {
  if (progress === null) return '-';
  if (state !== 'running' || progress.totalBytes === 0) return formatBytes(progress.doneBytes);
  return `${Math.floor((progress.doneBytes / progress.totalBytes) * 100)} % of ${formatBytes(progress.totalBytes)}`;
}

function resultText({ changed, error }: OperationDevice): string {
  if (error !== null) return `${error.code}: ${error.message}`;
  return changed === null ? '-' : changed ? 'changed' : 'unchanged';
}

export function describeOperation(session: Session, { metadata, spec, status }: Operation): string {
  const now = session.io.now();
  const facts = renderFields([
    ['Operation', metadata.name],
    ['State', session.state(status.state)],
    ['Task', taskText(spec.task)],
    ['Devices', `${spec.target} (${countText(status)})`],
    ['Asked', `${ageOf(metadata.createdAt, now)} ago by ${spec.by}`],
    ['Begins until', spec.expiresAt],
    ...(status.cancelledBy === null ? [] : [['Cancelled by', status.cancelledBy] satisfies [string, string]]),
  ]);
  const rows = status.devices.map((one) => [
    one.device,
    session.state(one.state),
    progressText(one),
    orDash(one.exitCode?.toString()),
    one.finishedAt === null || one.startedAt === null
      ? '-'
      : `${((Date.parse(one.finishedAt) - Date.parse(one.startedAt)) / 1000).toFixed(1)} s`,
    resultText(one),
  ]);
  const outputs = status.devices.filter(({ output }) => output !== '').map(({ device, output }) => `--- ${device}\n${output.trimEnd()}`);
  return [facts, renderTable(['DEVICE', 'STATE', 'PROGRESS', 'EXIT', 'TOOK', 'RESULT'], rows), ...outputs].join('\n\n');
}

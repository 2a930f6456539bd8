import { basename, join, resolve } from 'node:path';
import { AppError, type Operation, type OperationTask } from '@selvedge/contract';
import { type Command, InvalidArgumentError } from 'commander';
import { deviceQuery } from '../fleet/device-query.ts';
import { downloadOperationFile } from '../fleet/download-operation-file.ts';
import { downloadOperationFolder } from '../fleet/download-operation-folder.ts';
import { pushTask } from '../fleet/push-task.ts';
import { isEnded, operationFailure, watchOperation } from '../follow/watch-operation.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { integer, seconds } from '../options.ts';
import { describeOperation } from '../output/operation-text.ts';
import { openSession, type Session } from '../session.ts';

interface TransferOptions {
  limit?: number;
  parallel?: number;
  expires?: number;
  wait: boolean;
  check?: boolean;
  detach?: boolean;
}

interface PushOptions extends TransferOptions {
  mode?: number;
}

interface PullOptions extends TransferOptions {
  replace?: boolean;
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** Parser of a rate such as `500k` or `2m`, in bytes per second. */
function bytesPerSecond(text: string): number {
  const match = /^(\d{1,9})([kmg]?)(?:i?b)?(?:\/s)?$/i.exec(text);
  const value = match === null ? 0 : Number(match[1]) * (UNITS[(match[2] ?? '').toLowerCase()] ?? 0);
  if (value < 1024) throw new InvalidArgumentError('Give bytes per second, 1k at least, like 500k or 2m.');
  return value;
}

/** Parser of permission bits such as `644` or `0755`. */
function permissions(text: string): number {
  if (!/^0?[0-7]{3}$/.test(text)) throw new InvalidArgumentError('Give three octal digits, like 644.');
  return Number.parseInt(text, 8);
}

function transferOptions(command: Command): Command {
  return command
    .option('--limit <rate>', 'bytes per second on each device, like 500k or 2m', bytesPerSecond)
    .option('--parallel <count>', 'at most so many devices at one time (default: 8)', integer(1, 10_000))
    .option('--expires <span>', 'how long devices that are away are waited for (default: 1d)', seconds(1, 30 * 86_400, '1s to 30d'))
    .option('--no-wait', 'fail at once where a device is not connected')
    .option('--detach', 'do not wait for the end');
}

async function begin(session: Session, query: string, task: OperationTask, options: TransferOptions): Promise<Operation> {
  const { parallel, expires, wait } = options;
  const body = {
    task,
    ...deviceQuery(query),
    wait,
    ...(parallel === undefined ? {} : { parallel }),
    ...(expires === undefined ? {} : { expiresInS: expires }),
  };
  return session.client.createOperation({ body, signal: session.io.signal });
}

async function showDetached(session: Session, operation: Operation): Promise<void> {
  await session.result(operation, () => `Operation/${operation.metadata.name} begun`);
  session.note(`Watch it: selvedge operation watch ${operation.metadata.name}`);
}

async function push(
  session: Session,
  [query, source, destination]: readonly [string, string, string],
  options: PushOptions,
): Promise<void> {
  const { mode, limit: limitBytesPerS, check } = options;
  const task = await pushTask(session, { source: resolve(session.io.cwd, source), destination, mode, limitBytesPerS, check });
  const begun = await begin(session, query, task, options);
  if (options.detach === true) return showDetached(session, begun);
  const operation = await watchOperation(session, begun.metadata.name);
  await session.result(operation, () => describeOperation(session, operation));
  const failure = operationFailure(operation);
  if (failure !== undefined) throw failure;
}

async function pull(
  session: Session,
  [query, source, destination]: readonly [string, string, string],
  options: PullOptions,
): Promise<void> {
  const limit = options.limit === undefined ? {} : { limitBytesPerS: options.limit };
  const begun = await begin(session, query, { type: 'pull', path: source, folder: true, ...limit }, options);
  if (options.detach === true) return showDetached(session, begun);
  const operation = await watchOperation(session, begun.metadata.name);
  const folder = resolve(session.io.cwd, destination) + (destination.endsWith('/') ? '/' : '');
  const { replace = false } = options;
  const files = await fetchAll(session, operation, { isOne: 'device' in deviceQuery(query), destination: folder, replace });
  await session.result({ operation: operation.metadata.name, files }, () => files.map(({ path }) => path).join('\n'));
  const failure = operationFailure(operation);
  if (failure !== undefined) throw failure;
}

/**
 * From one device to the destination itself (or into it, when it ends with a slash), from several a file to DESTINATION/DEVICE/NAME,
 * a folder to DESTINATION/DEVICE.
 */
async function fetchAll(
  session: Session,
  operation: Operation,
  { isOne, destination, replace }: { isOne: boolean; destination: string; replace: boolean },
): Promise<{ device: string; path: string; sha256: string; sizeBytes: number; folder?: boolean }[]> {
  if (!isEnded(operation)) throw new AppError('CONFLICT', { message: 'The operation has not ended.' });
  const fetched: { device: string; path: string; sha256: string; sizeBytes: number; folder?: boolean }[] = [];
  for (const { device, file } of operation.status.devices) {
    if (file === null) continue;
    const name = basename(file.name);
    const isFolder = file.folder === true;
    const ofMany = join(destination, device, isFolder ? '' : name);
    const path = !isOne ? ofMany : destination.endsWith('/') ? join(destination, name) : destination;
    if (isFolder) await downloadOperationFolder(session, { operation: operation.metadata.name, device, file }, path, { replace });
    else await downloadOperationFile(session, operation.metadata.name, device, file, path);
    fetched.push({ device, path, sha256: file.sha256, sizeBytes: file.sizeBytes, ...(isFolder ? { folder: true } : {}) });
  }
  return fetched;
}

/** `device push` and `device pull`. */
export function registerDeviceFiles(command: Command, io: Io): void {
  const toDevice = transferOptions(
    command
      .command('push <device> <source> <destination>')
      .description('copy a file or a folder to a device, or to all that have a label (key=value)')
      .option(
        '--mode <octal>',
        'permissions of the file, like 644 (default: those it has there, or 644), or of all files of the folder (default: those they have)',
        permissions,
      )
      .option('--check', 'only tell whether it would change anything'),
  ).action(async (query: string, source: string, destination: string, options: PushOptions, called: Command) =>
    push(await openSession(called, io), [query, source, destination], options),
  );
  finishLeaf(toDevice, {
    examples: [
      'selvedge device push edge-1 ./app.conf /var/lib/app/app.conf',
      'selvedge device push edge-1 ./site /var/lib/app/site',
      'selvedge device push site=plant-3 ./maps.bin /var/lib/app/ --limit 500k --parallel 4',
    ],
    notes:
      'The destination must be below a folder that the agent allows ("files.roots" in its agent.json; default: "files" in its own folder).\nIt appears there only whole and verified; a device that has it already is not sent anything.\nA folder that is there is replaced as a whole: what only the device has in it goes.',
  });
  const fromDevice = transferOptions(
    command
      .command('pull <device> <source> <destination>')
      .description('copy a file or a folder from a device, or from all that have a label (to DESTINATION/DEVICE)')
      .option('--replace', 'replace a folder here that has something else in it'),
  ).action(async (query: string, source: string, destination: string, options: PullOptions, called: Command) =>
    pull(await openSession(called, io), [query, source, destination], options),
  );
  finishLeaf(fromDevice, {
    examples: [
      'selvedge device pull edge-1 /var/lib/app/app.log ./app.log',
      'selvedge device pull site=plant-3 /var/lib/app/app.log ./logs',
      'selvedge device pull edge-1 /var/lib/app/reports ./reports --replace',
    ],
  });
}

import { AppError, isErrorCode, type Operation } from '@selvedge/contract';
import { formatBytes } from '../output/format.ts';
import { countText } from '../output/operation-text.ts';
import { getOne } from '../resources.ts';
import type { Session } from '../session.ts';
import { followResource } from './follow-resource.ts';

export function isEnded({ status }: Operation): boolean {
  return status.finishedAt !== null;
}

function progressText({ status }: Operation): { text: string; milestone: string } {
  const known = status.devices.flatMap(({ progress }) => (progress === null ? [] : [progress]));
  const done = known.reduce((sum, one) => sum + one.doneBytes, 0);
  const total = known.reduce((sum, one) => sum + one.totalBytes, 0);
  const share = total === 0 ? 0 : Math.floor((done / total) * 100);
  const bytes = total === 0 ? '' : `  ${formatBytes(done)} of ${formatBytes(total)} (${share} %)`;
  return { text: `${countText(status)}${bytes}`, milestone: `${countText(status)} ${Math.floor(share / 20)}` };
}

/** The error that a command ends with when an operation did not succeed everywhere: the code of all failures, or OPERATION_FAILED where they differ. */
export function operationFailure({ metadata, status }: Operation): AppError | undefined {
  const failed = status.devices.filter(({ state }) => state !== 'succeeded');
  const [first] = failed;
  if (first === undefined) return undefined;
  const codes = new Set(failed.map(({ error }) => error?.code ?? 'OPERATION_FAILED'));
  const [only = ''] = codes;
  const reason = first.error?.message ?? `It is ${first.state}.`;
  return new AppError(codes.size === 1 && isErrorCode(only) ? only : 'OPERATION_FAILED', {
    message: status.devices.length === 1 ? `${first.device}: ${reason}` : `${failed.length} of ${status.devices.length} devices failed.`,
    hint: `"selvedge operation show ${metadata.name}" tells more.`,
    issues:
      status.devices.length === 1 ? [] : failed.map(({ device, state, error }) => ({ path: device, message: error?.message ?? state })),
  });
}

/**
 * Follows an operation to its end, with progress on stderr.
 *
 * @throws AppError INTERRUPTED after Ctrl-C, which leaves the operation going.
 */
export async function watchOperation(
  session: Session,
  name: string,
  onState: (operation: Operation) => void = () => undefined,
): Promise<Operation> {
  const { client, io, settings } = session;
  const progress = session.progress();
  try {
    return await followResource<Operation>({
      client,
      serverUrl: settings.serverUrl,
      signal: io.signal,
      topics: ['Operation'],
      read: () => getOne(session, 'Operation', name),
      pick: (resource) => (resource.kind === 'Operation' && resource.metadata.name === name ? resource : undefined),
      onState: (operation) => {
        onState(operation);
        const { text, milestone } = progressText(operation);
        progress.update(text, milestone);
      },
      onLost: () => progress.update('the server does not answer; waiting for it', 'lost'),
      isFinal: isEnded,
    });
  } catch (error) {
    if (!io.signal.aborted) throw error;
    throw new AppError('INTERRUPTED', {
      message: `Stopped watching. The operation ${name} goes on.`,
      hint: `"selvedge operation watch ${name}" watches it again; "selvedge operation cancel ${name}" ends it.`,
    });
  } finally {
    progress.clear();
  }
}

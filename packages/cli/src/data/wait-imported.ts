import { AppError, type DatasetVersion } from '@selvedge/contract';
import { followResource } from '../follow/follow-resource.ts';
import { reportedFailure } from '../follow/reported-failure.ts';
import { getOne } from '../resources.ts';
import type { Session } from '../session.ts';

/** What must change in a progress message for a new plain line: its words, or the tens of its percentage. */
function milestoneOf(message: string): string {
  const percent = /(\d+) ?%/.exec(message)?.[1];
  return `${message.replace(/\d+/g, '')} ${percent === undefined ? '' : Math.floor(Number(percent) / 10)}`;
}

/**
 * Waits until a version is imported.
 *
 * @throws AppError of the code that the import failed of; STEP_FAILED when the version keeps none.
 */
export async function waitImported(session: Session, version: DatasetVersion): Promise<DatasetVersion> {
  const { name } = version.metadata;
  const line = session.progress();
  try {
    const done = await followResource<DatasetVersion>({
      client: session.client,
      serverUrl: session.settings.serverUrl,
      signal: session.io.signal,
      topics: ['DatasetVersion'],
      read: () => getOne(session, 'DatasetVersion', name),
      pick: (resource) => (resource.kind === 'DatasetVersion' && resource.metadata.name === name ? resource : undefined),
      onState: ({ status }) => {
        if (status.phase === 'Importing') line.update(`import  ${status.message}`, milestoneOf(status.message));
      },
      onLost: () => line.update('the server does not answer; waiting for it', 'lost'),
      isFinal: ({ status }) => status.phase !== 'Importing',
    });
    if (done.status.phase === 'Ready') return done;
    const issues = done.status.error?.issues;
    const { code, reason, hint } = reportedFailure(done.status.error, 'STEP_FAILED', done.status.message);
    throw new AppError(code, {
      message: `Importing ${done.spec.dataset} version ${done.spec.version} failed: ${reason}`,
      ...(hint === undefined ? {} : { hint }),
      ...(issues === undefined ? {} : { issues }),
    });
  } finally {
    line.clear();
  }
}

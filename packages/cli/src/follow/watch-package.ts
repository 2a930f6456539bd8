import { AppError, type Package } from '@selvedge/contract';
import { chunksOf } from '../connect.ts';
import type { ProgressLine } from '../output/progress.ts';
import { getOne } from '../resources.ts';
import type { Session } from '../session.ts';
import { followResource } from './follow-resource.ts';
import { reportedFailure } from './reported-failure.ts';

/** Whether nothing is left to do for the package as it is specified. */
function isBuilt({ metadata, status }: Package): boolean {
  return status.observedGeneration === metadata.generation && (status.phase === 'Ready' || status.phase === 'Failed');
}

/** The error that a failed build ends a command with; undefined for one that did not fail. */
export function buildFailure({ metadata, spec, status }: Package): AppError | undefined {
  if (status.phase !== 'Failed') return undefined;
  const { code, reason, hint } = reportedFailure(status.error, 'BUILD_FAILED', status.message);
  const install = code === 'TARGET_NOT_INSTALLED' ? `Run "selvedge target install ${spec.target}".` : undefined;
  const logs = `"selvedge package log ${metadata.name}" shows more.`;
  return new AppError(code, {
    message: `Package ${metadata.name} could not be built: ${reason}`,
    hint: install ?? (hint === undefined ? logs : `${hint} ${logs}`),
    data: { package: metadata.name },
  });
}

/** The log of the build as it grows, above the progress line. It is a help to people: losing it loses nothing. */
async function showLog(session: Session, name: string, progress: ProgressLine, signal: AbortSignal): Promise<void> {
  const { client, settings } = session;
  if (settings.quiet || settings.output !== 'table') return;
  try {
    const response = await client.stream('getPackageLog', { params: { name }, query: { follow: '1' }, signal });
    const decoder = new TextDecoder();
    let rest = '';
    for await (const chunk of chunksOf(response, settings.serverUrl)) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) progress.keep(`  ${line}`);
    }
  } catch (error) {
    if (!(error instanceof AppError) && !signal.aborted) throw error;
  }
}

/**
 * Follows a build to its end, with progress and log on stderr.
 *
 * @returns the package, Ready or Failed.
 * @throws AppError INTERRUPTED after Ctrl-C, which leaves the build going.
 */
export async function watchPackage(session: Session, name: string): Promise<Package> {
  const { client, io, settings } = session;
  const progress = session.progress();
  const ended = new AbortController();
  const log = showLog(session, name, progress, AbortSignal.any([io.signal, ended.signal]));
  try {
    const built = await followResource<Package>({
      client,
      serverUrl: settings.serverUrl,
      signal: io.signal,
      topics: ['Package'],
      read: () => getOne(session, 'Package', name),
      pick: (resource) => (resource.kind === 'Package' && resource.metadata.name === name ? resource : undefined),
      onState: ({ spec, status }) => {
        const percent = Math.floor(status.progress * 100);
        progress.update(`${spec.target}  ${percent}%  ${status.message}`, `${spec.target} ${status.phase} ${Math.floor(percent / 20)}`);
      },
      onLost: () => progress.update('the server does not answer; waiting for it', 'lost'),
      isFinal: isBuilt,
    });
    await log; // the server ends it with the build
    return built;
  } catch (error) {
    if (!io.signal.aborted) throw error;
    throw new AppError('INTERRUPTED', {
      message: `Stopped watching. The build of ${name} goes on.`,
      hint: `"selvedge package show ${name}" tells how it stands; "selvedge delete package ${name}" ends it.`,
    });
  } finally {
    ended.abort();
    progress.clear();
  }
}

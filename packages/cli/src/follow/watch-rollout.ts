import { AppError, type Rollout } from '@selvedge/contract';
import { sleep } from '@selvedge/runtime';
import type { ProgressLine } from '../output/progress.ts';
import { getOne, listAll } from '../resources.ts';
import type { Session } from '../session.ts';
import { followResource } from './follow-resource.ts';

const FINAL_PHASES: readonly string[] = ['succeeded', 'failed', 'aborted', 'superseded'];
const POLL_MS = 200;
/** The server makes a rollout within a second of the edit. */
const PATIENCE_MS = 30_000;

/** One that stands still because a wave failed waits for people, not for time. */
function isFinal({ status }: Rollout): boolean {
  const hasFailedWave = status.waves.some((wave) => wave.state === 'failed' && wave.accepted !== true);
  return FINAL_PHASES.includes(status.phase) || (status.phase === 'paused' && hasFailedWave);
}

/** The error that a rollout ends a command with; undefined for one that succeeded. */
function failureOf({ metadata, status }: Rollout): AppError | undefined {
  if (status.phase === 'succeeded') return undefined;
  const { name } = metadata;
  const code = status.phase === 'aborted' || status.phase === 'superseded' ? 'CANCELLED' : 'ROLLOUT_FAILED';
  return new AppError(code, {
    message:
      `Rollout ${name} ${status.phase === 'paused' ? 'stands still' : `was ${status.phase}`}: ${status.message || 'no reason was given'}`.replace(
        'was failed',
        'failed',
      ),
    hint: `"selvedge rollout show ${name}" shows every gate with its numbers.`,
    data: { rollout: name },
  });
}

/** Draws a rollout as it goes on: a line that stays per device with a verdict, a progress line for the wave. */
class RolloutView {
  readonly #progress: ProgressLine;
  readonly #told = new Set<string>();
  #resourceVersion = 0;

  constructor(session: Session) {
    this.#progress = session.progress();
  }

  state({ metadata, status }: Rollout): void {
    if (metadata.resourceVersion < this.#resourceVersion) return; // a late duplicate
    this.#resourceVersion = metadata.resourceVersion;
    const told = status.devices.filter(({ state }) => ['passed', 'failed', 'reverted'].includes(state));
    for (const { device, state, wave, message } of told) {
      const key = `${status.attempt} ${device} ${state}`;
      if (!this.#told.has(key)) this.#progress.keep(`wave ${wave + 1}  ${device.padEnd(16)} ${state.padEnd(9)} ${message}`.trimEnd());
      this.#told.add(key);
    }
    const passed = status.devices.filter(({ state }) => state === 'passed').length;
    const wave = `wave ${Math.min(status.wave + 1, status.waves.length)} of ${status.waves.length}`;
    const line = [status.phase, wave, `${passed} of ${status.devices.length} devices`, status.message]
      .filter((part) => part !== '')
      .join('  ');
    this.#progress.update(line, `${status.phase} ${status.wave} ${passed}`);
  }

  lost(): void {
    this.#progress.update('the server does not answer; waiting for it', 'lost');
  }

  end(): void {
    this.#progress.clear();
  }
}

/**
 * Follows a rollout to its end, with progress on stderr.
 *
 * @throws AppError ROLLOUT_FAILED; CANCELLED when it was aborted or overtaken; INTERRUPTED after Ctrl-C, which leaves it going.
 */
export async function watchRollout(session: Session, name: string): Promise<Rollout> {
  const { client, io, settings } = session;
  const view = new RolloutView(session);
  try {
    const rollout = await followResource<Rollout>({
      client,
      serverUrl: settings.serverUrl,
      signal: io.signal,
      topics: ['Rollout'],
      read: () => getOne(session, 'Rollout', name),
      pick: (resource) => (resource.kind === 'Rollout' && resource.metadata.name === name ? resource : undefined),
      onState: (state) => view.state(state),
      onLost: () => view.lost(),
      isFinal,
    });
    view.end();
    const failure = failureOf(rollout);
    if (failure !== undefined) throw failure;
    return rollout;
  } catch (error) {
    view.end();
    if (!io.signal.aborted) throw error;
    throw new AppError('INTERRUPTED', {
      message: `Stopped watching. Rollout ${name} goes on.`,
      hint: `Watch it again with "selvedge rollout watch ${name}"; end it with "selvedge rollout abort ${name}".`,
    });
  }
}

/** The newest rollout of an InferenceModel; undefined when it has none. */
export async function newestRollout(session: Session, inferenceModel: string): Promise<Rollout | undefined> {
  const own = (await listAll(session, 'Rollout')).filter(({ spec }) => spec.inferenceModel === inferenceModel);
  const numberOf = ({ metadata }: Rollout) => Number(metadata.name.slice(metadata.name.lastIndexOf('-') + 1));
  return own.sort((a, b) => numberOf(b) - numberOf(a))[0];
}

/** The rollout that carries out an edit, once the server has made it. @throws AppError CONFLICT when it does not come. */
export async function rolloutOf(session: Session, inferenceModel: string, generation: number): Promise<Rollout> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = await newestRollout(session, inferenceModel);
    if (found !== undefined && found.spec.generation >= generation) return found;
    if (performance.now() >= deadline)
      throw new AppError('CONFLICT', {
        message: `The server has begun no rollout of InferenceModel "${inferenceModel}".`,
        hint: `"selvedge get InferenceModel ${inferenceModel}" tells why it is not available.`,
      });
    await sleep(POLL_MS, session.io.signal);
  }
}

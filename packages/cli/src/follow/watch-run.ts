import { AppError, type MetricPoint, type Run, type RunStep } from '@selvedge/contract';
import { formatDuration, formatNumber } from '../output/format.ts';
import type { ProgressLine } from '../output/progress.ts';
import { getOne } from '../resources.ts';
import type { Session } from '../session.ts';
import { followResource } from './follow-resource.ts';
import { reportedFailure } from './reported-failure.ts';

const FINAL_PHASES: readonly string[] = ['Succeeded', 'Failed', 'Cancelled'];
const FINISHED_STEPS: readonly string[] = ['completed', 'failed', 'cancelled', 'skipped'];
/** Metrics on the progress line: the last ones that a running step reported. */
const SHOWN_METRICS = 3;

export function isFinished(run: Run): boolean {
  return FINAL_PHASES.includes(run.status.phase);
}

/** How long a step took, as far as it is known. */
export function stepDuration(step: RunStep, now: number): string {
  if (step.startedAt === null) return '-';
  const end = step.finishedAt === null ? now : Date.parse(step.finishedAt);
  return formatDuration(end - Date.parse(step.startedAt));
}

/** Draws a run as it goes on: a line that stays per finished step, a progress line for the one that is at work. */
class RunView {
  readonly #session: Session;
  readonly #progress: ProgressLine;
  readonly #finished = new Set<string>();
  readonly #metrics = new Map<string, number>();
  #resourceVersion = 0;
  #run: Run | undefined;

  constructor(session: Session) {
    this.#session = session;
    this.#progress = session.progress();
  }

  state(run: Run): void {
    if (run.metadata.resourceVersion < this.#resourceVersion) return; // a late duplicate
    this.#resourceVersion = run.metadata.resourceVersion;
    this.#run = run;
    for (const step of run.status.steps) this.#finish(step);
    this.#draw();
  }

  metrics(points: readonly MetricPoint[]): void {
    for (const { metric, value } of points) {
      this.#metrics.delete(metric); // the newest stand last
      this.#metrics.set(metric, value);
    }
    this.#draw();
  }

  lost(): void {
    this.#progress.update('the server does not answer; waiting for it', 'lost');
  }

  end(): void {
    this.#progress.clear();
  }

  #finish(step: RunStep): void {
    if (!FINISHED_STEPS.includes(step.state)) return;
    const key = `${step.name}#${step.attempt}`;
    if (this.#finished.has(key)) return;
    this.#finished.add(key);
    const retried = step.attempt > 1 ? `  (attempt ${step.attempt})` : '';
    this.#progress.keep(`${step.name.padEnd(10)} ${doneText(step).padEnd(9)} ${stepDuration(step, this.#session.io.now())}${retried}`);
  }

  #draw(): void {
    const step = this.#run?.status.steps.find((one) => one.state === 'running'); // of several at work, the first
    if (step === undefined) return;
    const percent = Math.floor(step.progress * 100);
    const latest = [...this.#metrics].slice(-SHOWN_METRICS).map(([metric, value]) => `${metric} ${formatNumber(value)}`);
    const metrics = step.name === 'train' ? latest : [];
    const duration = stepDuration(step, this.#session.io.now());
    const parts = [`${step.name.padEnd(10)} ${`${percent}%`.padEnd(9)} ${duration}`, ...metrics, step.message].filter(
      (part) => part !== '',
    );
    this.#progress.update(parts.join('  '), `${step.name}#${step.attempt} ${Math.floor(percent / 10)}`);
  }
}

/** A step that is finished, in a word; what was taken from an earlier run says so. */
function doneText(step: RunStep): string {
  if (step.state !== 'completed') return step.state;
  return step.cachedFrom == null ? 'done' : `cached from ${step.cachedFrom}`;
}

/** The error that an unfinished or failed run ends a command with. */
function failureOf(run: Run): AppError | undefined {
  const { name } = run.metadata;
  if (run.status.phase === 'Cancelled') return new AppError('CANCELLED', { message: `Run ${name} was cancelled.` });
  if (run.status.phase !== 'Failed') return undefined;
  const step = run.status.steps.find((one) => one.state === 'failed');
  const { code, reason, hint } = reportedFailure(run.status.error, 'RUN_FAILED', step?.message || run.status.message);
  const where = step === undefined ? '' : `step "${step.name}": `;
  const logs = `"selvedge run logs ${name}${step === undefined ? '' : ` --step ${step.name}`}" shows more.`;
  return new AppError(code, {
    message: `Run ${name} failed: ${where}${reason}`,
    hint: hint === undefined ? logs : `${hint} ${logs}`,
    data: { run: name, ...(step === undefined ? {} : { step: step.name }) },
  });
}

/**
 * Follows a run to its end, with progress on stderr.
 *
 * @throws AppError CANCELLED, or of the code that the run failed of (RUN_FAILED when it keeps none); INTERRUPTED after Ctrl-C, which leaves the run going.
 */
export async function watchRun(session: Session, name: string): Promise<Run> {
  const { client, io, settings } = session;
  const view = new RunView(session);
  try {
    const run = await followResource<Run>({
      client,
      serverUrl: settings.serverUrl,
      signal: io.signal,
      topics: ['Run', 'metric'],
      read: () => getOne(session, 'Run', name),
      pick: (resource) => (resource.kind === 'Run' && resource.metadata.name === name ? resource : undefined),
      onState: (state) => view.state(state),
      onMetrics: (of, points) => {
        if (of === name) view.metrics(points);
      },
      onLost: () => view.lost(),
      isFinal: isFinished,
    });
    view.end();
    const failure = failureOf(run);
    if (failure !== undefined) throw failure;
    return run;
  } catch (error) {
    view.end();
    if (!io.signal.aborted) throw error;
    throw new AppError('INTERRUPTED', {
      message: `Stopped watching. Run ${name} goes on.`,
      hint: `Watch it again with "selvedge run show ${name} --watch"; end it with "selvedge run cancel ${name}".`,
    });
  }
}

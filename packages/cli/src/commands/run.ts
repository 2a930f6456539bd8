import { AppError, type MetricPoint, type Run } from '@selvedge/contract';
import type { Command } from 'commander';
import { chunksOf } from '../connect.ts';
import { isFinished, stepDuration, watchRun } from '../follow/watch-run.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { copyTo } from '../output/copy-stream.ts';
import { ageOf, formatDuration, formatNumber, orDash } from '../output/format.ts';
import { oneLine, renderFields, renderTable } from '../output/table.ts';
import { getOne, listAll, newestFirst } from '../resources.ts';
import { openSession, type Session } from '../session.ts';
import { gateTable } from './model.ts';
import { registerRunReport } from './run-report.ts';
import { resourcesText } from './run-resources.ts';

function durationOf(run: Run, now: number): string {
  const { startedAt, finishedAt } = run.status;
  if (startedAt === null) return '-';
  return formatDuration((finishedAt === null ? now : Date.parse(finishedAt)) - Date.parse(startedAt));
}

function atWork(run: Run): string {
  const step = run.status.steps.find((one) => one.state === 'running' || one.state === 'failed');
  return step === undefined ? '-' : `${step.name} ${Math.floor(step.progress * 100)}%`;
}

function runTable(session: Session, runs: readonly Run[]): string {
  const now = session.io.now();
  const rows = runs.map((run) => [
    run.metadata.name,
    run.spec.pipeline,
    session.state(run.status.phase),
    atWork(run),
    `${run.spec.dataset.name}:${run.spec.dataset.version}`,
    orDash(run.status.modelVersion),
    durationOf(run, now),
    ageOf(run.metadata.createdAt, now),
  ]);
  return renderTable(['RUN', 'PIPELINE', 'STATE', 'STEP', 'DATASET', 'MODEL', 'TOOK', 'AGE'], rows);
}

/** Who or what started a run. */
function causeText({ spec }: Run): string {
  const { cause, rerunOf, sweepOf } = spec;
  const events = cause.events === undefined || cause.events === 1 ? '' : `, ${cause.events} events`;
  if (sweepOf !== undefined) return `sweep ${sweepOf.run}: ${cause.detail ?? ''}`;
  if (cause.type === 'trigger') return `trigger "${cause.trigger ?? cause.by}" (${cause.by}): ${cause.detail ?? ''}${events}`;
  const repeated = rerunOf === undefined ? '' : `; repeats ${rerunOf.run}${rerunOf.from === null ? '' : ` from ${rerunOf.from} on`}`;
  return `${cause.by} (${cause.type})${repeated}`;
}

function sweepText(session: Session, run: Run): string {
  const { sweep } = run.status;
  if (sweep === undefined || sweep.children.length === 0) return '';
  const names = [...new Set(sweep.children.flatMap((child) => Object.keys(child.parameters)))];
  const rows = sweep.children.map((child) => [
    child.run === sweep.best?.run ? `${child.run} (best)` : child.run,
    session.state(child.phase),
    ...names.map((name) => String(child.parameters[name] ?? '-')),
    child.value === null ? '-' : formatNumber(child.value),
  ]);
  return renderTable(['RUN', 'STATE', ...names.map((name) => name.toUpperCase()), run.spec.pipelineSpec.sweep?.metric ?? 'VALUE'], rows);
}

function environmentText({ status }: Run): string {
  const { environment } = status;
  if (environment === undefined) return '-';
  return `${environment.cpu}, ${environment.threads} threads, ${environment.memoryMiB} MiB; node ${environment.node}, selvedge ${environment.server}`;
}

/** A run as facts, steps and last metrics. */
export function describeRun(session: Session, run: Run): string {
  const { spec, status, metadata } = run;
  const now = session.io.now();
  const facts = renderFields([
    ['Run', metadata.name],
    ['State', session.state(status.phase)],
    ['Pipeline', `${spec.pipeline} (generation ${spec.pipelineGeneration})`],
    ['Dataset', `${spec.dataset.name} version ${spec.dataset.version}`],
    ['Model', orDash(status.modelVersion)],
    ['Started by', causeText(run)],
    ['Took', durationOf(run, now)],
    ['Environment', environmentText(run)],
    ['Message', orDash(status.message)],
  ]);
  const steps = renderTable(
    ['STEP', 'STATE', 'PROGRESS', 'TOOK', 'ATTEMPT', 'MESSAGE'],
    status.steps.map((step) => [
      step.name,
      session.state(step.state),
      `${Math.floor(step.progress * 100)}%`,
      stepDuration(step, now),
      String(step.attempt),
      step.message,
    ]),
  );
  const metrics = Object.entries(status.metrics).sort(([a], [b]) => (a < b ? -1 : 1));
  const metricText = renderFields(metrics.map(([name, value]) => [name, formatNumber(value)]));
  const criteria = status.criteria ?? [];
  const criteriaText = criteria.length === 0 ? '' : `Evaluation criteria of its task:\n${gateTable(criteria)}`;
  return [facts, steps, resourcesText(run), sweepText(session, run), metricText, criteriaText].filter((part) => part !== '').join('\n\n');
}

function metricRows(points: readonly MetricPoint[], wanted: string | undefined): string[][] {
  const byName = new Map<string, MetricPoint[]>();
  for (const point of points) {
    if (wanted !== undefined && point.metric !== wanted) continue;
    byName.set(point.metric, [...(byName.get(point.metric) ?? []), point]);
  }
  if (wanted !== undefined)
    return (byName.get(wanted) ?? []).map((point) => [point.metric, formatNumber(point.step), formatNumber(point.value)]);
  return [...byName].map(([name, list]) => {
    const values = list.map((point) => point.value);
    const last = values.at(-1) ?? Number.NaN;
    return [
      name,
      String(list.length),
      formatNumber(last),
      formatNumber(values.reduce((a, b) => Math.min(a, b))),
      formatNumber(values.reduce((a, b) => Math.max(a, b))),
    ];
  });
}

async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of chunks) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}

function registerLogs(command: Command, io: Io): void {
  const logs = command
    .command('logs <name>')
    .description('print the log of a run or of one of its steps')
    .option('--step <step>', 'only this step, like train')
    .option('--follow', 'go on until the run is finished')
    .action(async (name: string, options: { step?: string; follow?: boolean }, called: Command) => {
      const session = await openSession(called, io);
      const query = {
        ...(options.step === undefined ? {} : { step: options.step }),
        ...(options.follow === true ? { follow: '1' as const } : {}),
      };
      const response = await session.client.stream('getRunLog', { params: { name }, query, signal: io.signal });
      const chunks = chunksOf(response, session.settings.serverUrl);
      if (session.settings.output === 'table') return await copyTo(io.stdout, chunks, io.signal);
      const lines = (await textOf(chunks)).split('\n').filter((line) => line !== '');
      await session.result({ run: name, step: options.step ?? null, lines }, () => lines.join('\n'));
    });
  finishLeaf(logs, { examples: ['selvedge run logs digits-1 --step train', 'selvedge run logs digits-1 --follow'] });
}

function registerMetrics(command: Command, io: Io): void {
  const metrics = command
    .command('metrics <name>')
    .description('show the metrics of a run; every point of one with --metric or -o json')
    .option('--metric <metric>', 'every point of this one, like validation/accuracy')
    .action(async (name: string, options: { metric?: string }, called: Command) => {
      const session = await openSession(called, io);
      const { points } = await session.client.getRunMetrics({ params: { name }, signal: io.signal });
      const names = [...new Set(points.map((point) => point.metric))];
      if (options.metric !== undefined && !names.includes(options.metric))
        throw new AppError('NOT_FOUND', {
          message: `Run ${name} has no metric "${options.metric}".`,
          hint: `It has: ${orDash(names.join(', '))}`,
        });
      const wanted = options.metric === undefined ? points : points.filter((point) => point.metric === options.metric);
      const head = options.metric === undefined ? ['METRIC', 'POINTS', 'LAST', 'MIN', 'MAX'] : ['METRIC', 'STEP', 'VALUE'];
      await session.result({ points: wanted }, () => (wanted.length === 0 ? '' : renderTable(head, metricRows(points, options.metric))));
      if (points.length === 0) session.note('No metrics yet; they appear while the step "train" runs.');
    });
  finishLeaf(metrics, { examples: ['selvedge run metrics digits-1', 'selvedge run metrics digits-1 --metric validation/accuracy'] });
}

function registerShow(command: Command, io: Io): void {
  const show = command
    .command('show <name>')
    .description('show a run: its steps, metrics and what it made')
    .option('-w, --watch', 'follow it to its end first; the exit code tells how it went')
    .action(async (name: string, options: { watch?: boolean }, called: Command) => {
      const session = await openSession(called, io);
      const run = options.watch === true ? await watchRun(session, name) : await getOne(session, 'Run', name);
      await session.result(run, () => describeRun(session, run));
      const failed = run.status.steps.find((step) => step.state === 'failed');
      if (failed !== undefined) session.note(`See what happened: selvedge run logs ${name} --step ${failed.name}`);
    });
  finishLeaf(show, { examples: ['selvedge run show digits-1', 'selvedge run show digits-1 --watch'] });
}

function registerRerun(command: Command, io: Io): void {
  const rerun = command
    .command('rerun <name>')
    .description('repeat a run with the pipeline and data that it had')
    .option('--from <step>', 'do this step and what follows from it anew, and take over the others (default: all anew)')
    .option('-w, --watch', 'follow it to its end; the exit code tells how it went')
    .action(async (name: string, options: { from?: string; watch?: boolean }, called: Command) => {
      const session = await openSession(called, io);
      const body = options.from === undefined ? {} : { from: options.from };
      const started = await session.client.rerunRun({ params: { name }, body, signal: io.signal });
      const id = started.metadata.name;
      if (options.watch === true) {
        const ended = await watchRun(session, id);
        return await session.result(ended, () => describeRun(session, ended));
      }
      await session.result(started, () => `Run/${id} started`);
      session.note(`Watch it: selvedge run show ${id} --watch`);
    });
  finishLeaf(rerun, { examples: ['selvedge run rerun digits-1', 'selvedge run rerun digits-1 --from train --watch'] });
}

export function registerRun(command: Command, io: Io): void {
  const list = command
    .command('list')
    .description('show the runs, newest first')
    .option('--pipeline <name>', 'only runs of this pipeline')
    .action(async (options: { pipeline?: string }, called: Command) => {
      const session = await openSession(called, io);
      const all = newestFirst(await listAll(session, 'Run'));
      const items = options.pipeline === undefined ? all : all.filter((run) => run.spec.pipeline === options.pipeline);
      await session.result({ items }, () => (items.length === 0 ? '' : runTable(session, items)));
      if (items.length === 0)
        session.note('No runs. "selvedge pipeline run NAME" starts one; "selvedge pipeline list" shows the pipelines.');
    });
  finishLeaf(list, { examples: ['selvedge run list', 'selvedge run list --pipeline digits -o json'] });
  registerShow(command, io);
  registerLogs(command, io);
  registerMetrics(command, io);
  registerRunReport(command, io);
  const cancel = command
    .command('cancel <name>')
    .description('cancel a run')
    .action(async (name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const run = await session.client.cancelRun({ params: { name }, signal: io.signal });
      await session.result(run, () => oneLine(`Run/${name} ${isFinished(run) ? run.status.phase.toLowerCase() : 'is being cancelled'}`));
    });
  finishLeaf(cancel, { examples: ['selvedge run cancel digits-1'] });
  registerRerun(command, io);
}

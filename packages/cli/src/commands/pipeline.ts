import { type Pipeline, type SomeHyperparams, someHyperparamsSchema, triggerNamesOf } from '@selvedge/contract';
import { type Command, InvalidArgumentError } from 'commander';
import { watchRun } from '../follow/watch-run.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { integer } from '../options.ts';
import { ageOf, orDash } from '../output/format.ts';
import { renderFields, renderTable } from '../output/table.ts';
import { getOne, listAll } from '../resources.ts';
import { openSession, type Session } from '../session.ts';
import { describeRun } from './run.ts';

interface RunOptions {
  watch?: boolean;
  datasetVersion?: number;
  cache?: boolean;
  sweep?: boolean;
  set: SomeHyperparams;
}

/** Collects `NAME=VALUE`: a value that is JSON is taken as that, any other as text. @throws InvalidArgumentError. */
function hyperparam(text: string, before: SomeHyperparams): SomeHyperparams {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It is not like NAME=VALUE.');
  const parsed = someHyperparamsSchema.safeParse({ [text.slice(0, at)]: jsonOrText(text.slice(at + 1)) });
  if (parsed.success) return { ...before, ...parsed.data };
  throw new InvalidArgumentError(parsed.error.issues[0]?.message ?? 'It is no hyperparameter.');
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text; // `adam` is written without quotes
  }
}

function pipelineTable(session: Session, pipelines: readonly Pipeline[]): string {
  const rows = pipelines.map(({ metadata, spec, status }) => [
    metadata.name,
    spec.dataset.name,
    spec.model.name,
    orDash(status.lastRun),
    session.state(orDash(status.lastRunState)),
    ageOf(metadata.createdAt, session.io.now()),
  ]);
  return renderTable(['PIPELINE', 'DATASET', 'MODEL', 'LAST RUN', 'STATE', 'AGE'], rows);
}

function describePipeline(session: Session, { metadata, spec, status }: Pipeline): string {
  const { lr, batch_size: batchSize, epochs } = spec.model.hyperparams;
  return renderFields([
    ['Pipeline', metadata.name],
    ['Dataset', `${spec.dataset.name} (train: ${spec.dataset.path.train}, test: ${spec.dataset.path.test})`],
    ['Model', spec.model.name],
    ['Training', `lr ${lr}, batch size ${batchSize}, ${epochs} epochs`],
    ['Preprocessing', orDash(spec.preproc.pipeline.join(' → '))],
    ['Postprocessing', orDash(spec.postproc.pipeline.join(' → '))],
    [
      'Steps',
      spec.steps === undefined
        ? 'import → process → export → split → train → benchmark → register'
        : spec.steps.map((step) => step.id).join(', '),
    ],
    ['Sweep', spec.sweep === undefined ? '-' : `${spec.sweep.method} over ${Object.keys(spec.sweep.parameters).join(', ')}`],
    ['Triggers', orDash(triggerNamesOf(spec.triggers ?? []).join(', '))],
    ['Task', orDash(spec.task)],
    ['Last run', status.lastRun === null ? '-' : `${status.lastRun} (${orDash(status.lastRunState)})`],
    ['Changed', `${ageOf(metadata.updatedAt, session.io.now())} ago, generation ${metadata.generation}`],
  ]);
}

function registerStart(command: Command, io: Io): void {
  const run = command
    .command('run <name>')
    .description('start a run of a pipeline')
    .option('-w, --watch', 'follow it to its end; the exit code tells how it went')
    .option('--dataset-version <number>', 'train on this version (default: the latest)', integer(1, Number.MAX_SAFE_INTEGER))
    .option('--no-cache', 'do every step anew, also where an earlier run has done the same')
    .option('--no-sweep', 'one run with the own hyperparameters of a pipeline that has a sweep')
    .option(
      '--set <name=value>',
      "a hyperparameter in place of the pipeline's own, in this run only; may be given more than once",
      hyperparam,
      {},
    )
    .action(async (name: string, options: RunOptions, called: Command) => {
      const session = await openSession(called, io);
      const body = {
        ...(options.datasetVersion === undefined ? {} : { datasetVersion: options.datasetVersion }),
        ...(options.cache === false ? { cache: false } : {}),
        ...(options.sweep === false ? { sweep: false } : {}),
        ...(Object.keys(options.set).length === 0 ? {} : { hyperparams: options.set }),
      };
      const started = await session.client.startRun({ params: { name }, body, signal: io.signal });
      const id = started.metadata.name;
      if (options.watch !== true) {
        await session.result(started, () => `Run/${id} started`);
        session.note(`Watch it: selvedge run show ${id} --watch`);
        return;
      }
      session.note(`run ${id} of pipeline ${name}, dataset ${started.spec.dataset.name} version ${started.spec.dataset.version}`);
      const ended = await watchRun(session, id);
      await session.result(ended, () => describeRun(session, ended));
      const model = ended.status.modelVersion;
      if (model !== null)
        session.note(`Next: selvedge model show ${model.split('/')[0] ?? model}; serve it with an InferenceModel (selvedge apply -f FILE)`);
    });
  finishLeaf(run, {
    examples: [
      'selvedge pipeline run digits --watch',
      'selvedge pipeline run digits --set lr=0.01 --set epochs=20',
      'selvedge pipeline run digits --dataset-version 2 -o json',
    ],
  });
}

export function registerPipeline(command: Command, io: Io): void {
  registerStart(command, io);
  const list = command
    .command('list')
    .description('show the pipelines')
    .action(async (_options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const items = await listAll(session, 'Pipeline');
      await session.result({ items }, () => (items.length === 0 ? '' : pipelineTable(session, items)));
      if (items.length === 0) session.note('No pipelines. "selvedge apply -f pipeline.json --name NAME" adds one.');
    });
  finishLeaf(list, { examples: ['selvedge pipeline list'] });
  const show = command
    .command('show <name>')
    .description('show a pipeline; the whole of it with -o yaml')
    .action(async (name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const pipeline = await getOne(session, 'Pipeline', name);
      await session.result(pipeline, () => describePipeline(session, pipeline));
    });
  finishLeaf(show, { examples: ['selvedge pipeline show digits', 'selvedge pipeline show digits -o yaml'] });
}

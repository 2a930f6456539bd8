import { AppError, type RecallView } from '@selvedge/contract';
import type { Command } from 'commander';
import { parseDatasetReference } from '../data/dataset-reference.ts';
import { resolveReference } from '../data/model-reference.ts';
import { rolloutOf, watchRollout } from '../follow/watch-rollout.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { renderTable } from '../output/table.ts';
import { openSession, type Session } from '../session.ts';

interface RecallOptions {
  dataset?: string;
  model?: string;
  run?: string;
  to?: string;
  yes?: boolean;
}

/** What options name. @throws AppError USAGE unless it is exactly one thing. */
async function sourceOf(session: Session, { dataset, model, run }: RecallOptions) {
  if ([dataset, model, run].filter((one) => one !== undefined).length !== 1)
    throw new AppError('USAGE', { message: 'Give exactly one of --dataset, --model and --run.' });
  if (dataset !== undefined) {
    const { name, version } = parseDatasetReference(dataset);
    return { dataset: name, ...(version === undefined ? {} : { datasetVersion: version }) };
  }
  if (model === undefined) return { run: run ?? '' };
  const { spec } = await resolveReference(session, model);
  return { model: spec.model, modelVersion: spec.version };
}

function recallTable(session: Session, view: RecallView): string {
  const rows = view.devices.map((one) => [
    one.device,
    session.state(one.online ? 'online' : 'offline'),
    `${one.model}:${one.version}`,
    one.deployment,
    session.state(one.state),
  ]);
  return rows.length === 0 ? '' : renderTable(['DEVICE', 'LINK', 'RUNS', 'INFERENCEMODEL', 'STATE'], rows);
}

async function recall(session: Session, options: RecallOptions): Promise<void> {
  const { client, io } = session;
  const source = await sourceOf(session, options);
  if (options.to === undefined || options.yes !== true) {
    const view = await client.findRecall({ query: source, signal: io.signal });
    await session.result(view, () => recallTable(session, view));
    const versions = view.versions.map((one) => `${one.model}:${one.version}`).join(', ');
    session.note(versions === '' ? 'No version was made from it.' : `Made from it: ${versions}.`);
    if (options.to === undefined) return;
    const names = view.deployments.map(({ name }) => name).join(', ');
    throw new AppError('USAGE', {
      message: `This takes ${names === '' ? 'nothing' : names} to version ${options.to} on all devices at once.`,
      hint: 'Give --yes to do so.',
    });
  }
  const done = await client.recall({ body: { ...source, to: options.to }, signal: io.signal });
  session.note(recallTable(session, done.view));
  for (const { name, generation } of done.deployments)
    await watchRollout(session, (await rolloutOf(session, name, generation)).metadata.name);
  await session.result(done, () =>
    done.deployments.map(({ name, version }) => `InferenceModel/${name} serves version ${version}`).join('\n'),
  );
}

export function registerRecall(command: Command, io: Io): void {
  command
    .option('--dataset <name[@version]>', 'a dataset, or one version of it')
    .option('--model <model:version>', 'a version; those made from it count as well')
    .option('--run <name>', 'a run')
    .option('--to <version>', 'version that devices get instead')
    .option('--yes', 'do it')
    .action(async (options: RecallOptions, called: Command) => recall(await openSession(called, io), options));
  finishLeaf(command, {
    examples: ['selvedge recall --dataset digits@2', 'selvedge recall --model digits:3 --to 2 --yes'],
    notes:
      'Devices get the other version at once, without waves, trial or maintenance windows. One that is offline gets it when it is back.',
  });
}

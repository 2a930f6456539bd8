import { AppError, ROLLOUT_STRATEGIES } from '@selvedge/contract';
import { type Command, Option } from 'commander';
import { resolveReference } from '../data/model-reference.ts';
import { policyOf, type RolloutOptions } from '../data/rollout-options.ts';
import { rolloutOf, watchRollout } from '../follow/watch-rollout.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { collect, collectLabels, integer, seconds, share } from '../options.ts';
import { listAll } from '../resources.ts';
import { openSession, type Session } from '../session.ts';

interface DeployOptions extends RolloutOptions {
  to?: string;
  on?: Record<string, string>;
  now?: boolean;
  watch?: boolean;
}

/** The one InferenceModel that serves the model; one of its name where there is none yet. @throws AppError USAGE when there are several. */
async function inferenceModelFor(session: Session, model: string): Promise<string> {
  const names = (await listAll(session, 'InferenceModel'))
    .filter(({ spec }) => spec.modelName === model)
    .map(({ metadata }) => metadata.name);
  const [only = model] = names;
  if (names.length <= 1) return only;
  throw new AppError('USAGE', {
    message: `${names.length} InferenceModels serve model "${model}".`,
    hint: `Name one: ${names.map((name) => `--to ${name}`).join(', ')}.`,
  });
}

async function deploy(session: Session, reference: string, options: DeployOptions): Promise<void> {
  const policy = policyOf(options);
  if (policy !== undefined && options.now === true)
    throw new AppError('USAGE', {
      message: '--now goes to all devices at once, without a trial; it takes no further options of the rollout.',
    });
  const { spec } = await resolveReference(session, reference);
  const name = options.to ?? (await inferenceModelFor(session, spec.model));
  const rollout = options.now === true ? null : policy;
  const body = {
    model: spec.model,
    version: spec.version,
    ...(options.on === undefined ? {} : { nodeSelector: options.on }),
    ...(rollout === undefined ? {} : { rollout }),
  };
  const done = await session.client.deployModel({ params: { name }, body, signal: session.io.signal });
  const line = `InferenceModel/${name} ${done.action}: ${spec.model}:${done.version}`;
  if (options.watch !== true) {
    await session.result(done, () => line);
    session.note(`Watch it: selvedge rollout watch ${name}`);
    return;
  }
  session.note(line);
  const { metadata } = await rolloutOf(session, name, done.generation);
  const ended = await watchRollout(session, metadata.name);
  await session.result(ended, () => `Rollout/${ended.metadata.name} ${ended.status.phase}`);
}

export function registerDeploy(command: Command, io: Io): void {
  command
    .argument('<model:version>', 'MODEL:VERSION or MODEL:ALIAS; MODEL alone is its latest')
    .option('--to <inferencemodel>', 'InferenceModel to change; made when there is none (default: the one that serves the model)')
    .option('--on <label=value>', 'devices of a new InferenceModel; may be given several times', collectLabels)
    .addOption(new Option('--strategy <name>', 'how the version reaches devices').choices(ROLLOUT_STRATEGIES))
    .option('--waves <sizes>', 'cumulative sizes that grow, like 1,10%,100%')
    .addOption(new Option('--order <order>', 'which devices come first: by name, or those with the best links').choices(['name', 'link']))
    .option('--gate <rule>', 'what the version must keep, like p95Ratio<=1.3; may be given several times', collect)
    .option('--trial <span>', 'how long each device tries the version, like 5m', seconds(1, 2_592_000, '1s to 30d'))
    .option('--min-requests <number>', 'requests that verdicts by traffic need', integer(0, 1_000_000))
    .option('--share <share>', 'share of the requests that the new version answers, with --strategy split', share)
    .option('--max-unavailable <count>', 'most devices that change at one time, a number or a share like 10%')
    .option('--max-failed <share>', 'share of a wave that may fail', share)
    .option('--soak <span>', 'wait after each wave', seconds(0, 2_592_000, '0s to 30d'))
    .option('--manual', 'wait for "selvedge rollout promote" after each wave')
    .addOption(new Option('--on-failure <what>', 'what a failed wave does').choices(['revert', 'pause']))
    .option('--golden <dataset>', 'ask each device samples of this dataset first')
    .option('--golden-samples <number>', 'how many', integer(1, 1000))
    .option('--now', 'to all devices at once, without a trial; drops the policy that the InferenceModel has')
    .option('--watch', 'follow the rollout to its end; exits with 6 when it failed')
    .action(async (reference: string, options: DeployOptions, called: Command) =>
      deploy(await openSession(called, io), reference, options),
    );
  finishLeaf(command, {
    examples: [
      'selvedge deploy digits:2 --watch',
      'selvedge deploy digits:2 --waves 1,10%,100% --gate "p95Ratio<=1.3" --gate "errorRate<=0.01" --trial 5m --watch',
      'selvedge deploy digits:1 --to reader --now',
    ],
    notes: 'Without options of the rollout, the policy of the InferenceModel stays as it is.',
  });
}

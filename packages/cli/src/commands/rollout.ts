import { AppError, type Rollout } from '@selvedge/contract';
import type { Command } from 'commander';
import { newestRollout, watchRollout } from '../follow/watch-rollout.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { rolloutTable, rolloutText } from '../output/rollout-text.ts';
import { getOne, listAll, newestFirst } from '../resources.ts';
import { openSession, type Session } from '../session.ts';

/** By its name, or the newest one of an InferenceModel. @throws AppError NOT_FOUND */
async function find(session: Session, name: string): Promise<Rollout> {
  try {
    return await getOne(session, 'Rollout', name);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'NOT_FOUND') throw error;
    const newest = await newestRollout(session, name);
    if (newest === undefined) throw error;
    return newest;
  }
}

function registerReading(command: Command, io: Io): void {
  const list = command
    .command('list')
    .description('show rollouts, the newest first')
    .option('--inferencemodel <name>', 'only those of this InferenceModel')
    .action(async (options: { inferencemodel?: string }, called: Command) => {
      const session = await openSession(called, io);
      const { inferencemodel: of } = options;
      const items = newestFirst(await listAll(session, 'Rollout')).filter(({ spec }) => of === undefined || spec.inferenceModel === of);
      await session.result({ items }, () => (items.length === 0 ? '' : rolloutTable(session, items)));
      if (items.length === 0) session.note('No rollouts. "selvedge deploy MODEL:VERSION" begins one.');
    });
  finishLeaf(list, { examples: ['selvedge rollout list', 'selvedge rollout list --inferencemodel digits -o json'] });
  const show = command
    .command('show <name>')
    .description('show waves, devices, gates with their numbers, and arms of a rollout, or of the newest one of an InferenceModel')
    .action(async (name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const rollout = await find(session, name);
      await session.result(rollout, () => rolloutText(session, rollout));
    });
  finishLeaf(show, { examples: ['selvedge rollout show digits-3', 'selvedge rollout show digits -o yaml'] });
  const watch = command
    .command('watch <name>')
    .description('follow a rollout to its end; exits with 6 when it failed')
    .action(async (name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const rollout = await watchRollout(session, (await find(session, name)).metadata.name);
      await session.result(rollout, () => rolloutTable(session, [rollout]));
    });
  finishLeaf(watch, { examples: ['selvedge rollout watch digits-3'] });
}

type Verb = 'pause' | 'resume' | 'promote' | 'retry';
const VERBS: readonly { verb: Verb; description: string }[] = [
  { verb: 'pause', description: 'let no further device go' },
  { verb: 'resume', description: 'go on with a paused rollout; a wave that failed is taken as it is' },
  { verb: 'promote', description: 'begin the next wave of a rollout that waits for it, or whose wave soaks' },
  { verb: 'retry', description: 'try devices that did not pass once more' },
];

function act(session: Session, verb: Verb, name: string): Promise<Rollout> {
  const request = { params: { name }, signal: session.io.signal };
  switch (verb) {
    case 'pause':
      return session.client.pauseRollout(request);
    case 'resume':
      return session.client.resumeRollout(request);
    case 'promote':
      return session.client.promoteRollout(request);
    case 'retry':
      return session.client.retryRollout(request);
  }
}

export function registerRollout(command: Command, io: Io): void {
  registerReading(command, io);
  for (const { verb, description } of VERBS) {
    const leaf = command
      .command(`${verb} <name>`)
      .description(description)
      .action(async (name: string, _options: unknown, called: Command) => {
        const session = await openSession(called, io);
        const rollout = await act(session, verb, (await find(session, name)).metadata.name);
        await session.result(rollout, () => `Rollout/${rollout.metadata.name} ${rollout.status.phase}`);
      });
    finishLeaf(leaf, { examples: [`selvedge rollout ${verb} digits-3`] });
  }
  const abort = command
    .command('abort <name>')
    .description('end a rollout; devices go back to what they had')
    .option('--keep', 'devices that have the new version keep it')
    .action(async (name: string, options: { keep?: boolean }, called: Command) => {
      const session = await openSession(called, io);
      const params = { name: (await find(session, name)).metadata.name };
      const body = options.keep === true ? { keep: true } : {};
      const rollout = await session.client.abortRollout({ params, body, signal: io.signal });
      await session.result(rollout, () => `Rollout/${rollout.metadata.name} ${rollout.status.phase}`);
    });
  finishLeaf(abort, { examples: ['selvedge rollout abort digits-3', 'selvedge rollout abort digits-3 --keep'] });
}

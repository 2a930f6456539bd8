import type { TriggerView } from '@selvedge/contract';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { ageOf, orDash } from '../output/format.ts';
import { renderTable } from '../output/table.ts';
import { openSession, type Session } from '../session.ts';

function pendingText({ pending }: TriggerView): string {
  if (pending === null) return '-';
  return `${pending.events} ${pending.events === 1 ? 'event' : 'events'}, due ${pending.dueAt}`;
}

function triggerTable(session: Session, triggers: readonly TriggerView[]): string {
  const now = session.io.now();
  const rows = triggers.map((trigger) => [
    trigger.pipeline,
    trigger.name,
    trigger.kind === 'webhook' && !trigger.hasSecret ? `${trigger.description} (no secret yet)` : trigger.description,
    orDash(trigger.nextAt),
    pendingText(trigger),
    trigger.lastFiredAt === null ? '-' : `${ageOf(trigger.lastFiredAt, now)} ago`,
    orDash(trigger.lastRun),
  ]);
  return renderTable(['PIPELINE', 'TRIGGER', 'WAITS FOR', 'NEXT', 'PENDING', 'FIRED', 'LAST RUN'], rows);
}

export function registerTrigger(command: Command, io: Io): void {
  const list = command
    .command('list')
    .description('show what starts runs of pipelines, and when it last did')
    .option('--pipeline <name>', 'only triggers of this pipeline')
    .action(async (options: { pipeline?: string }, called: Command) => {
      const session = await openSession(called, io);
      const query = options.pipeline === undefined ? {} : { pipeline: options.pipeline };
      const { items } = await session.client.listTriggers({ query, signal: io.signal });
      await session.result({ items }, () => (items.length === 0 ? '' : triggerTable(session, items)));
      if (items.length === 0) session.note('No triggers. They are the block "triggers" of a pipeline file.');
    });
  finishLeaf(list, { examples: ['selvedge trigger list', 'selvedge trigger list --pipeline digits -o json'] });
  const fire = command
    .command('fire <pipeline> <trigger>')
    .description('start a run now, as the trigger would')
    .action(async (name: string, trigger: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const run = await session.client.fireTrigger({ params: { name, trigger }, signal: io.signal });
      const id = run.metadata.name;
      await session.result(run, () => `Run/${id} started`);
      session.note(`Watch it: selvedge run show ${id} --watch`);
    });
  finishLeaf(fire, { examples: ['selvedge trigger fire digits nightly'] });
  const secret = command
    .command('secret <pipeline> <trigger>')
    .description('make a new secret for a webhook and print it, this once; an earlier one is void')
    .action(async (name: string, trigger: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const made = await session.client.makeTriggerSecret({ params: { name, trigger }, signal: io.signal });
      await session.result(made, () => made.secret);
      session.note(`Sign calls of ${made.webhookPath} with it. It is not shown again.`);
    });
  finishLeaf(secret, { examples: ['selvedge trigger secret digits push'] });
}

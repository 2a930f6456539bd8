import { AppError, type MlflowExperimentSummary, type MlflowRunSummary } from '@selvedge/contract';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { ageOf, orDash } from '../output/format.ts';
import { renderTable } from '../output/table.ts';
import { openSession, type Session } from '../session.ts';

interface RunOptions {
  filter?: string;
}

/** All pages of a list. */
async function collect<T>(read: (after: string | undefined) => Promise<{ items: T[]; next: string | null }>): Promise<T[]> {
  const found: T[] = [];
  for (let after: string | null | undefined; after !== null; ) {
    const page: { items: T[]; next: string | null } = await read(after);
    found.push(...page.items);
    after = page.next;
  }
  return found;
}

function listExperiments(session: Session): Promise<MlflowExperimentSummary[]> {
  return collect((after) =>
    session.client.listMlflowExperiments({ query: after === undefined ? {} : { after }, signal: session.io.signal }),
  );
}

async function listRuns(session: Session, experiment: string, filter: string | undefined): Promise<MlflowRunSummary[]> {
  const found = (await listExperiments(session)).find(({ id, name }) => name === experiment || id === experiment);
  if (found === undefined) {
    throw new AppError('NOT_FOUND', {
      message: `There is no MLflow experiment "${experiment}".`,
      hint: '"selvedge mlflow list" shows all of them.',
    });
  }
  return await collect((after) =>
    session.client.listMlflowRuns({
      params: { id: found.id },
      query: { ...(after === undefined ? {} : { after }), ...(filter === undefined ? {} : { filter }) },
      signal: session.io.signal,
    }),
  );
}

const shown = (values: Record<string, unknown>): string =>
  orDash(
    Object.entries(values)
      .slice(0, 6)
      .map(([key, value]) => `${key}=${typeof value === 'number' ? Number(value.toPrecision(5)) : value}`)
      .join(' '),
  );

export function registerMlflow(command: Command, io: Io): void {
  const list = command
    .command('list')
    .description('list the experiments that MLflow clients have logged')
    .action(async (_options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const items = await listExperiments(session);
      const rows = items.map(({ id, name, updatedAt }) => [id, name, ageOf(updatedAt, Date.now())]);
      await session.result({ items }, () => renderTable(['ID', 'EXPERIMENT', 'UPDATED'], rows));
    });
  finishLeaf(list, { examples: ['selvedge mlflow list'] });
  const runs = command
    .command('runs <experiment>')
    .description('list the runs of an experiment with their parameters and newest metrics')
    .option('--filter <text>', "MLflow's search syntax")
    .action(async (experiment: string, { filter }: RunOptions, called: Command) => {
      const session = await openSession(called, io);
      const items = await listRuns(session, experiment, filter);
      const rows = items.map((run) => [
        run.name,
        run.status,
        ageOf(run.startedAt, Date.now()),
        shown(run.params),
        shown(run.metrics),
        run.id,
      ]);
      await session.result({ items }, () =>
        items.length === 0 ? '' : renderTable(['RUN', 'STATE', 'AGE', 'PARAMETERS', 'METRICS', 'ID'], rows),
      );
      if (items.length === 0) session.note('No runs.');
    });
  finishLeaf(runs, { examples: ['selvedge mlflow runs Default', "selvedge mlflow runs digits --filter 'metrics.accuracy > 0.9'"] });
}

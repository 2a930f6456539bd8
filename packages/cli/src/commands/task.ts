import type { GateResult, TaskComparison } from '@selvedge/contract';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { ageOf, formatBytes, formatDuration, formatNumber, orDash } from '../output/format.ts';
import { renderFields, renderTable } from '../output/table.ts';
import { RequirementNotMet } from '../requirement-not-met.ts';
import { listAll } from '../resources.ts';
import { openSession } from '../session.ts';

function valueText({ value, passed }: GateResult): string {
  const shown = value === null ? 'not measured' : formatNumber(value);
  return passed === null ? shown : `${shown} ${passed ? 'passed' : 'not passed'}`;
}

const duration = (secondsOrNull: number | null) => (secondsOrNull === null ? '-' : formatDuration(secondsOrNull * 1000));

/** The pipelines of a task side by side, the best first. */
function describeComparison(comparison: TaskComparison): string {
  const { task, criteria, costFunction, pipelines } = comparison;
  const facts = renderFields([
    ['Task', task],
    ['Criteria', orDash(criteria.join('; '))],
    ['Cost', costFunction],
  ]);
  const rows = pipelines.map(({ pipeline, runs, best }) => [
    pipeline,
    String(runs),
    orDash(best?.run),
    orDash(best?.modelVersion),
    ...criteria.map((_, i) => {
      const result = best?.criteria[i];
      return result === undefined ? '-' : valueText(result);
    }),
    best?.passed == null ? '-' : best.passed ? 'yes' : 'no',
    duration(best?.cost.trainSeconds ?? null),
    best == null ? '-' : formatBytes(best.cost.modelBytes),
  ]);
  const head = ['PIPELINE', 'RUNS', 'BEST RUN', 'MODEL', ...criteria.map((one) => one.toUpperCase()), 'PASSED', 'TRAINING', 'SIZE'];
  return `${facts}\n\n${renderTable(head, rows)}`;
}

function registerCompare(command: Command, io: Io): void {
  const compare = command
    .command('compare <name>')
    .description("show a task's pipelines side by side: the best run of each, by the task's criteria")
    .option('--require', 'exit with 1 unless a pipeline passes every criterion')
    .action(async (name: string, options: { require?: boolean }, called: Command) => {
      const session = await openSession(called, io);
      const comparison = await session.client.compareTask({ params: { name }, signal: io.signal });
      const { pipelines, issues, criteria } = comparison;
      await session.result(comparison, () => describeComparison(comparison));
      for (const issue of issues) session.note(`Not a criterion: ${issue}`);
      if (pipelines.length === 0) session.note(`No pipeline has "task: ${name}".`);
      if (options.require !== true || pipelines.some(({ best }) => best?.passed === true)) return;
      const which = criteria.length === 0 ? '; it has none' : `: ${criteria.join('; ')}`;
      session.note(`No pipeline of task "${name}" passes its criteria${which}`);
      throw new RequirementNotMet();
    });
  finishLeaf(compare, {
    examples: ['selvedge task compare org.example.digits', 'selvedge task compare org.example.digits --require -o json'],
    notes:
      'A criterion is a line of evaluation_criterias like "accuracy >= 0.95" or "mAP@50 >= 0.8", or in fields: {metric: accuracy, threshold: 0.9, dataset: digits-field@2}, which runs measure on that dataset.',
  });
}

export function registerTask(command: Command, io: Io): void {
  const list = command
    .command('list')
    .description('show the tasks')
    .action(async (_options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const items = await listAll(session, 'Task');
      const pipelines = await listAll(session, 'Pipeline');
      await session.result({ items }, () => {
        const rows = items.map(({ metadata, spec }) => [
          metadata.name,
          String(pipelines.filter((one) => one.spec.task === metadata.name).length),
          spec.description,
          ageOf(metadata.updatedAt, io.now()),
        ]);
        return items.length === 0 ? '' : renderTable(['TASK', 'PIPELINES', 'DESCRIPTION', 'CHANGED'], rows);
      });
      if (items.length === 0) session.note('No tasks. Apply one with "selvedge apply -f FILE".');
    });
  finishLeaf(list, { examples: ['selvedge task list'] });
  registerCompare(command, io);
}

import { budgetText, type Device, type LinkStanding, linkGrade, linkText, type ResultSummary } from '@selvedge/contract';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { seconds } from '../options.ts';
import { ageOf, formatBytes, orDash } from '../output/format.ts';
import { renderTable } from '../output/table.ts';
import { openSession } from '../session.ts';

const DAY_S = 86_400;

function top(classes: ResultSummary['classes']): string {
  return orDash(
    classes
      ?.slice(0, 3)
      .map(([name, count]) => `${name} ${count}`)
      .join(', '),
  );
}

function table(results: readonly ResultSummary[]): string {
  const ms = (value: number | null) => (value === null ? '-' : `${Number(value.toPrecision(3))} ms`);
  const rows = results.map((one) => [
    one.at.slice(0, 19).replace('T', ' '),
    `${one.spanS} s`,
    one.workload,
    `${one.model}:${one.version}`,
    String(one.requests),
    String(one.errors),
    ms(one.p50Ms),
    ms(one.p95Ms),
    top(one.classes),
  ]);
  return renderTable(['FROM (UTC)', 'SPAN', 'WORKLOAD', 'MODEL', 'REQUESTS', 'ERRORS', 'P50', 'P95', 'CLASSES'], rows);
}

export function registerDeviceResults(command: Command, io: Io): void {
  const results = command
    .command('results <device>')
    .description('show what the models on a device answered: requests, errors, latencies, classes')
    .option('--workload <name>', 'of this workload alone')
    .option('--since <span>', 'not older than this, like 12h (default: 1d)', seconds(1, 3650 * DAY_S, '1s to 3650d'))
    .action(async (device: string, { workload, since = DAY_S }: { workload?: string; since?: number }, called: Command) => {
      const session = await openSession(called, io);
      const query = { since: new Date(io.now() - since * 1000).toISOString(), ...(workload === undefined ? {} : { workload }) };
      const answer = await session.client.getDeviceResults({ params: { name: device }, query, signal: io.signal });
      await session.result({ device, ...answer }, () => (answer.results.length === 0 ? '' : table(answer.results)));
      if (answer.results.length === 0) session.note('No results in this time. They come with the telemetry, every few minutes.');
    });
  finishLeaf(results, {
    examples: ['selvedge device results edge-1', 'selvedge device results edge-1 --workload fruit --since 7d'],
    notes:
      'What a device answered while it was offline comes with its return; what was kept for very long is put together by the hour or day.',
  });
}

/** What a device keeps to be sent, and uses of its budgets. */
export function upkeepFields({ status }: Device, now: number): [string, string][] {
  const { spool, budgets, link } = status.upkeep ?? {};
  const fields: [string, string][] = [];
  if (link !== undefined) fields.push(['Link', linkField(link)]);
  if (spool !== undefined) {
    const since = spool.oldestAt === null ? '' : `, the oldest ${ageOf(spool.oldestAt, now)} old`;
    const joined = spool.aggregated === 0 ? '' : `; ${spool.aggregated} put together with others`;
    const lost = spool.dropped === 0 ? '' : `; ${spool.dropped} given up`;
    const size = `${formatBytes(spool.usedBytes)} of ${formatBytes(spool.budgetBytes)}`;
    fields.push(['To send', `${spool.waiting}${since}, ${size}${joined}${lost}`]);
  }
  if (budgets !== undefined) {
    const of = (used: number | null, budget: number | null) =>
      `${used === null ? '-' : formatBytes(used)}${budget === null ? '' : ` of ${formatBytes(budget)}`}`;
    const { waits } = budgets;
    const until = waits === null || waits.untilAt === null ? '' : ` Until ${waits.untilAt}.`;
    fields.push([
      'Traffic',
      `${of(budgets.trafficBytes, budgets.trafficBudgetBytes)} today${waits === null ? '' : `. ${waits.message}${until}`}`,
    ]);
    fields.push(['Agent disk', of(budgets.diskBytes, budgets.diskBudgetBytes)]);
    const { inEffect = [] } = budgets;
    if (inEffect.length > 0) fields.push(['Budgets', inEffect.map(budgetText).join(', ')]);
  }
  return fields;
}

function linkField(link: LinkStanding): string {
  const lost =
    link.unansweredPings === null || link.unansweredPings === 0 ? '' : `; ${(link.unansweredPings * 100).toFixed(1)} % of pings unanswered`;
  return `${linkGrade(link)}: ${linkText(link)} (p95 ${Math.round(link.rttP95Ms)} ms of ${link.samples} round trips)${lost}`;
}

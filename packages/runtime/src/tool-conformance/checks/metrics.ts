import { type MetricPoint, metricPointSchema, metricSeriesSchema, metricSummarySchema } from '@selvedge/contract';
import * as z from 'zod';
import { expectThat, Mismatch } from '../../mismatch.ts';
import { expectJson, expectProblem, expectStatus, NotApplicable, shown } from '../expectation.ts';
import { readEventRecords } from '../read-event-records.ts';
import type { Verification } from '../verification.ts';
import type { Check } from './check.ts';

const listSchema = z.object({ items: z.array(z.string()) });

interface Metric {
  readonly name: string;
  /** `/artifacts/x/metrics/train.loss` */
  readonly path: string;
  readonly points: readonly MetricPoint[];
}

/** The first metric of the artifact, with its points. */
async function metricOf(on: Verification): Promise<Metric> {
  const folder = `/artifacts/${on.needMade()}/metrics`;
  const { items } = expectJson(await on.tool.ask(folder), listSchema, 'a list of metrics');
  const [name] = items;
  if (name === undefined) throw new NotApplicable('the artifact has no metrics');
  const path = `${folder}/${name.replaceAll('/', '.')}`;
  const answer = await on.tool.ask(`${path}/points`);
  expectStatus(answer, 200);
  const lines = answer.body.toString('utf8').split('\n').filter(Boolean);
  try {
    return { name, path, points: lines.map((line) => metricPointSchema.parse(JSON.parse(line))) };
  } catch (error) {
    throw new Mismatch('JSON lines of points', `${shown(answer)}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The views of a metric say the same. */
export const METRIC_CHECKS: readonly Check[] = [
  {
    title: 'metrics are listed; points gives each as JSON lines, steps ascending',
    async run(on) {
      const { name, path, points } = await metricOf(on);
      expectThat(points.length > 0 && points.every(({ metric }) => metric === name), `points of ${name}`, points);
      const steps = points.map(({ step }) => step);
      expectThat(
        steps.every((step, index) => index === 0 || step > (steps[index - 1] ?? step)),
        'ascending steps',
        steps,
      );
      const rest = await on.tool.ask(`${path}/points?after=${points.length - 1}`);
      expectThat(rest.body.toString('utf8').split('\n').filter(Boolean).length === 1, 'one point with ?after', shown(rest));
    },
  },
  {
    title: 'latest gives the last point',
    async run(on) {
      const { path, points } = await metricOf(on);
      const latest = expectJson(await on.tool.ask(`${path}/latest`), metricPointSchema, 'a point');
      const last = points.at(-1);
      expectThat(latest.step === last?.step && latest.value === last.value, JSON.stringify(last), latest);
    },
  },
  {
    title: 'series gives columns of equal length, fewer on request',
    async run(on) {
      const { path, points } = await metricOf(on);
      const series = expectJson(await on.tool.ask(`${path}/series`), metricSeriesSchema, 'a series');
      const { steps, values, times } = series;
      expectThat(
        steps.length === points.length && values.length === points.length && times.length === points.length,
        `${points.length} of each`,
        series,
      );
      const fewer = expectJson(await on.tool.ask(`${path}/series?max=3`), metricSeriesSchema, 'a series');
      expectThat(fewer.steps.length === Math.min(3, points.length), `${Math.min(3, points.length)} points with max=3`, fewer.steps);
      expectProblem(await on.tool.ask(`${path}/series?max=none`), 400);
    },
  },
  {
    title: 'summary counts, and knows the smallest, largest, last and best',
    async run(on) {
      const { path, points } = await metricOf(on);
      const summary = expectJson(await on.tool.ask(`${path}/summary`), metricSummarySchema, 'a summary');
      const values = points.map(({ value }) => value);
      const [min, max] = [Math.min(...values), Math.max(...values)];
      expectThat(
        summary.count === points.length && summary.min.value === min && summary.max.value === max,
        `${points.length} points, ${min} to ${max}`,
        summary,
      );
      const best = expectJson(await on.tool.ask(`${path}/summary?best=min`), metricSummarySchema, 'a summary').best;
      expectThat(best.is === 'min' && best.value === min, `best ${min} with best=min`, best);
    },
  },
  {
    title: 'csv gives the same points as a table',
    async run(on) {
      const { path, points } = await metricOf(on);
      const answer = await on.tool.ask(`${path}/csv`);
      const lines = answer.body.toString('utf8').trimEnd().split(/\r?\n/);
      expectThat(
        String(answer.headers['content-type']).startsWith('text/csv') && lines[0] === 'step,value,at',
        'text/csv: step,value,at',
        shown(answer),
      );
      const rows = lines.slice(1).map((line) => line.split(',').slice(0, 2).map(Number).join());
      expectThat(rows.join(';') === points.map(({ step, value }) => `${step},${value}`).join(';'), 'a row for each point', rows);
    },
  },
  {
    title: 'tensorboard gives an event file with every point, its checksums right',
    async run(on) {
      const { name, path, points } = await metricOf(on);
      const answer = await on.tool.ask(`${path}/tensorboard`);
      expectStatus(answer, 200);
      const [first, ...records] = readEventRecords(answer.body);
      expectThat(first?.includes('brain.Event:2') === true, 'brain.Event:2 in the first record', `${first?.length ?? 0} bytes`);
      expectThat(
        records.length === points.length && records.every((record) => record.includes(name)),
        `${points.length} records of ${name}`,
        `${records.length} records`,
      );
    },
  },
  {
    title: 'a metric and a view that are not there are answered with 404',
    async run(on) {
      const folder = `/artifacts/${on.needMade()}/metrics`;
      expectProblem(await on.tool.ask(`${folder}/no-such-metric/latest`), 404);
      expectProblem(await on.tool.ask(`${folder}/..%2Fstatus/points`), 400, 404);
      const { path } = await metricOf(on);
      expectProblem(await on.tool.ask(`${path}/no-such-view`), 404);
    },
  },
];

import { downsample, type MetricPoint, type ResultSummary, type TakenNumbers, type TelemetrySample } from '@selvedge/contract';
import type { Kysely } from 'kysely';
import type { ResultRange, SeriesStore, TelemetryWrite } from '../../ports/store.ts';
import type { DialectCapabilities } from './dialect-capabilities.ts';
import { normalizeTime, resultSummary, telemetrySample } from './rows.ts';
import type { Database } from './schema.ts';
import { type DeviceWrite, TelemetryWriter } from './telemetry-writes.ts';

const MAX_SAMPLES = 10_000;
/** What was put together by the hour hardly ever spans a whole one. */
const HOUR_S = 1800;
/** Rows per statement: both databases bound the number of bind variables (SQLite at 32,766). */
const ROWS_PER_INSERT = 500;

interface PendingTelemetry extends DeviceWrite {
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Metrics and telemetry. Telemetry that arrives while a commit is under way shares the next one, so that the price of a
 * commit does not grow with the number of devices; a call returns only after its own samples are committed.
 */
export class SqlSeries implements SeriesStore {
  readonly #db: Kysely<Database>;
  readonly #dialect: DialectCapabilities;
  readonly #telemetry: TelemetryWriter;
  #pending: PendingTelemetry[] = [];
  #flushing: Promise<void> | undefined;

  constructor(db: Kysely<Database>, dialect: DialectCapabilities) {
    this.#db = db;
    this.#dialect = dialect;
    this.#telemetry = new TelemetryWriter(db, dialect);
  }

  async appendMetricPoints(run: string, points: readonly MetricPoint[]): Promise<void> {
    if (points.length === 0) return;
    // one statement may not name the same key twice, so the last point of a step wins here already
    const byKey = new Map(points.map((point) => [`${point.metric}\0${point.step}`, point]));
    const rows = [...byKey.values()].map(({ metric, step, value, at }) => ({ run, metric, step, value, at: normalizeTime(at) }));
    await this.#db.transaction().execute(async (transaction) => {
      for (let start = 0; start < rows.length; start += ROWS_PER_INSERT) {
        await transaction
          .insertInto('metric_points')
          .values(rows.slice(start, start + ROWS_PER_INSERT))
          .onConflict((conflict) =>
            conflict
              .columns(['run', 'metric', 'step'])
              .doUpdateSet({ value: (eb) => eb.ref('excluded.value'), at: (eb) => eb.ref('excluded.at') }),
          )
          .execute();
      }
    });
  }

  async readMetricPoints(run: string, { max }: { max?: number | undefined } = {}): Promise<MetricPoint[]> {
    const points = this.#db.selectFrom('metric_points').select(['metric', 'step', 'value', 'at']).where('run', '=', run);
    if (max === undefined) return points.orderBy('metric').orderBy('step').execute();
    const chosen: MetricPoint[] = [];
    for (const { metric, steps } of await this.#stepsForCharts(run, max))
      chosen.push(...(await points.where('metric', '=', metric).where('step', 'in', steps).orderBy('step').execute()));
    return chosen;
  }

  /** A row per point costs several times as much as a curve as one text does, and of a long curve few points are shown. */
  async #stepsForCharts(run: string, max: number): Promise<{ metric: string; steps: number[] }[]> {
    const curves = await this.#db
      .selectFrom('metric_points')
      .select(({ ref }) => [
        'metric',
        this.#dialect.jsonArray(ref('step'), ref('step')).as('steps'),
        this.#dialect.jsonArray(ref('value'), ref('step')).as('values'),
      ])
      .where('run', '=', run)
      .groupBy('metric')
      .orderBy('metric')
      .execute();
    return curves.map(({ metric, ...curve }) => {
      const [steps, values] = [Float64Array.from(JSON.parse(curve.steps)), Float64Array.from(JSON.parse(curve.values))];
      return { metric, steps: downsample({ steps, values }, max).flatMap((index) => steps[index] ?? []) };
    });
  }

  appendTelemetry(device: string, batch: TelemetryWrite): Promise<void> {
    if (batch.spool === undefined && batch.samples.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#pending.push({ device, batch, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  async readTakenNumbers(device: string, max: { spools: number; ranges: number }): Promise<TakenNumbers[]> {
    const numbers = this.#db
      .selectFrom('taken_numbers')
      .innerJoin('telemetry_series', 'telemetry_series.id', 'taken_numbers.series')
      .where('telemetry_series.device', '=', device);
    const spools = await numbers
      .select(({ fn }) => ['spool', fn.max('taken_at_ms').as('at')])
      .groupBy('spool')
      .orderBy('at', 'desc')
      .orderBy('spool')
      .limit(max.spools)
      .execute();
    const found: TakenNumbers[] = [];
    for (const { spool } of spools) {
      const rows = await numbers
        .select(['first_number', 'last_number'])
        .where('spool', '=', spool)
        .orderBy('first_number')
        .limit(max.ranges)
        .execute();
      found.push({ spool, ranges: rows.map((row) => ({ first: Number(row.first_number), last: Number(row.last_number) })) });
    }
    return found;
  }

  async readTelemetry(device: string, sinceIso: string): Promise<TelemetrySample[]> {
    const rows = await this.#db
      .selectFrom('telemetry')
      .innerJoin('telemetry_series', 'telemetry_series.id', 'telemetry.series')
      .selectAll('telemetry')
      .where('telemetry_series.device', '=', device)
      .where('telemetry.at_ms', '>=', Date.parse(sinceIso))
      .orderBy('telemetry.at_ms')
      .limit(MAX_SAMPLES)
      .execute();
    return rows.map(telemetrySample);
  }

  async readResults(device: string, { sinceIso, untilIso, max = MAX_SAMPLES, ...only }: ResultRange): Promise<ResultSummary[]> {
    let found = this.#db
      .selectFrom('device_results')
      .innerJoin('telemetry_series', 'telemetry_series.id', 'device_results.series')
      .selectAll('device_results')
      .where('telemetry_series.device', '=', device)
      .where('device_results.at_ms', '>=', Date.parse(sinceIso))
      .orderBy('device_results.at_ms')
      .orderBy('device_results.workload')
      .orderBy('device_results.version')
      .limit(Math.min(max, MAX_SAMPLES));
    if (untilIso !== undefined) found = found.where('device_results.at_ms', '<', Date.parse(untilIso));
    for (const column of ['workload', 'model', 'version'] as const) {
      const value = only[column];
      if (value !== undefined) found = found.where(`device_results.${column}`, '=', value);
    }
    return (await found.execute()).map(resultSummary);
  }

  async pruneTelemetry(beforeIso: string, summariesBeforeIso: string): Promise<number> {
    const [beforeMs, summariesMs] = [Date.parse(beforeIso), Date.parse(summariesBeforeIso)];
    const samples = await this.#db
      .deleteFrom('telemetry')
      .where((eb) =>
        eb.or([eb('at_ms', '<', Math.min(beforeMs, summariesMs)), eb.and([eb('at_ms', '<', beforeMs), eb('summary', 'is', null)])]),
      )
      .executeTakeFirst();
    const results = await this.#db
      .deleteFrom('device_results')
      .where((eb) =>
        eb.or([eb('at_ms', '<', Math.min(beforeMs, summariesMs)), eb.and([eb('at_ms', '<', beforeMs), eb('span_s', '<', HOUR_S)])]),
      )
      .executeTakeFirst();
    return Number(samples.numDeletedRows) + Number(results.numDeletedRows);
  }

  async #flush(): Promise<void> {
    await Promise.resolve(); // whatever is appended in this turn goes along
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      try {
        await this.#db.transaction().execute((transaction) => this.#telemetry.write(transaction, batch));
        for (const item of batch) item.resolve();
      } catch (error) {
        for (const item of batch) item.reject(error);
      }
    }
    this.#flushing = undefined;
  }
}

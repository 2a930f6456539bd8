import { downsample, type MetricPoint, type TelemetrySample } from '@selvedge/contract';
import type { Kysely, Transaction } from 'kysely';
import type { SeriesStore } from '../../ports/store.ts';
import type { DialectCapabilities } from './dialect-capabilities.ts';
import { normalizeTime, telemetryRow, telemetrySample } from './rows.ts';
import type { Database } from './schema.ts';

const MAX_SAMPLES = 10_000;
/** Rows per statement: both databases bound the number of bind variables (SQLite at 32,766). */
const ROWS_PER_INSERT = 500;

interface PendingTelemetry {
  device: string;
  samples: readonly TelemetrySample[];
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
  #pending: PendingTelemetry[] = [];
  #flushing: Promise<void> | undefined;

  constructor(db: Kysely<Database>, dialect: DialectCapabilities) {
    this.#db = db;
    this.#dialect = dialect;
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

  appendTelemetry(device: string, samples: readonly TelemetrySample[]): Promise<void> {
    if (samples.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#pending.push({ device, samples, resolve, reject });
      this.#flushing ??= this.#flush();
    });
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

  async pruneTelemetry(beforeIso: string): Promise<number> {
    const result = await this.#db.deleteFrom('telemetry').where('at_ms', '<', Date.parse(beforeIso)).executeTakeFirst();
    return Number(result.numDeletedRows);
  }

  async #flush(): Promise<void> {
    await Promise.resolve(); // whatever is appended in this turn goes along
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      try {
        await this.#db.transaction().execute((transaction) => writeTelemetry(transaction, batch));
        for (const item of batch) item.resolve();
      } catch (error) {
        for (const item of batch) item.reject(error);
      }
    }
    this.#flushing = undefined;
  }
}

async function writeTelemetry(transaction: Transaction<Database>, batch: readonly PendingTelemetry[]): Promise<void> {
  const byKey = new Map<string, Database['telemetry']>();
  const series = new Map<string, number>();
  for (const { device, samples } of batch) {
    const id = series.get(device) ?? (await seriesOf(transaction, device));
    series.set(device, id);
    for (const sample of samples) {
      const row = telemetryRow(id, sample);
      byKey.set(`${id}/${row.at_ms}`, row);
    }
  }
  const rows = [...byKey.values()];
  for (let start = 0; start < rows.length; start += ROWS_PER_INSERT) {
    await transaction
      .insertInto('telemetry')
      .values(rows.slice(start, start + ROWS_PER_INSERT))
      .onConflict((conflict) => conflict.columns(['series', 'at_ms']).doNothing())
      .execute();
  }
}

async function seriesOf(transaction: Transaction<Database>, device: string): Promise<number> {
  const find = transaction.selectFrom('telemetry_series').select('id').where('device', '=', device);
  const known = await find.executeTakeFirst();
  if (known !== undefined) return known.id;
  await transaction
    .insertInto('telemetry_series')
    .values({ device })
    .onConflict((conflict) => conflict.column('device').doNothing())
    .execute();
  return (await find.executeTakeFirstOrThrow()).id;
}

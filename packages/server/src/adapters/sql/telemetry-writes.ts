import { AppError, addRange, hasNumber, type SequenceRange } from '@selvedge/contract';
import type { Kysely, Transaction } from 'kysely';
import type { TelemetryWrite } from '../../ports/store.ts';
import type { DialectCapabilities } from './dialect-capabilities.ts';
import { prepareQuery } from './prepared-query.ts';
import { resultRow, telemetryRow } from './rows.ts';
import type { Database } from './schema.ts';

/** Rows per statement: both databases bound the number of bind variables (SQLite at 32,766). */
const ROWS_PER_INSERT = 500;
/** Spools of one device whose numbers are remembered: a new one comes with each folder of an agent. */
const MAX_SPOOLS = 16;

export interface DeviceWrite {
  device: string;
  batch: TelemetryWrite;
}

/** What is asked for each device that sends something. */
class TelemetryQueries {
  readonly #db: Kysely<Database>;
  readonly find = prepareQuery<{ device: string }, { id: number }>(({ device }) => this.#seriesOf(device));
  readonly lock = prepareQuery<{ device: string }, { id: number }>(({ device }) => this.#seriesOf(device).forUpdate());
  readonly taken = prepareQuery<{ series: number; spool: string }, { first_number: number; last_number: number }>(({ series, spool }) =>
    this.#db
      .selectFrom('taken_numbers')
      .select(['first_number', 'last_number'])
      .where('series', '=', series)
      .where('spool', '=', spool)
      .orderBy('first_number'),
  );

  constructor(db: Kysely<Database>) {
    this.#db = db;
  }

  #seriesOf(device: string) {
    return this.#db.selectFrom('telemetry_series').select('id').where('device', '=', device);
  }
}

/** Stores what devices have measured; what a number stood for that was taken before is left out. */
export class TelemetryWriter {
  readonly #locksRows: boolean;
  readonly #queries: TelemetryQueries;

  constructor(db: Kysely<Database>, dialect: DialectCapabilities) {
    this.#locksRows = dialect.locksRows;
    this.#queries = new TelemetryQueries(db);
  }

  async write(transaction: Transaction<Database>, writes: readonly DeviceWrite[]): Promise<void> {
    const series = await this.#lockSeries(transaction, writes);
    const numbers = new TakenNumbers(transaction, this.#queries);
    const samples = new Map<string, Database['telemetry']>();
    const results = new Map<string, Database['device_results']>();
    for (const { device, batch } of writes) {
      const id = series.get(device) ?? 0;
      const isNew = await numbers.take(id, batch.spool);
      for (const sample of batch.samples) {
        if (!isNew(sample.sequence)) continue;
        const row = telemetryRow(id, sample);
        samples.set(`${id}/${row.at_ms}`, row);
      }
      for (const summary of batch.results ?? []) {
        if (!isNew(summary.sequence)) continue;
        const row = resultRow(id, summary);
        results.set(JSON.stringify([id, row.at_ms, row.workload, row.model, row.version]), row);
      }
    }
    await insertAll(transaction, [...samples.values()], [...results.values()]);
    await numbers.save();
  }

  /** Always in the same order, so that two servers do not wait for each other. */
  async #lockSeries(transaction: Transaction<Database>, writes: readonly DeviceWrite[]): Promise<Map<string, number>> {
    const series = new Map<string, number>();
    const numbered = new Set(writes.flatMap(({ device, batch }) => (batch.spool === undefined ? [] : [device])));
    for (const device of [...new Set(writes.map((write) => write.device))].toSorted())
      series.set(device, await this.#seriesOf(transaction, device, this.#locksRows && numbered.has(device)));
    return series;
  }

  async #seriesOf(transaction: Transaction<Database>, device: string, lock: boolean): Promise<number> {
    const query = (lock ? this.#queries.lock : this.#queries.find)({ device });
    const [known] = (await transaction.executeQuery(query)).rows;
    if (known !== undefined) return known.id;
    await transaction
      .insertInto('telemetry_series')
      .values({ device })
      .onConflict((conflict) => conflict.column('device').doNothing())
      .execute();
    const [made] = (await transaction.executeQuery(query)).rows;
    if (made === undefined) throw new AppError('INTERNAL', { message: `The telemetry series of "${device}" could not be made.` });
    return made.id;
  }
}

async function insertAll(
  transaction: Transaction<Database>,
  samples: readonly Database['telemetry'][],
  results: readonly Database['device_results'][],
): Promise<void> {
  for (let start = 0; start < samples.length; start += ROWS_PER_INSERT)
    await transaction
      .insertInto('telemetry')
      .values(samples.slice(start, start + ROWS_PER_INSERT))
      .onConflict((conflict) => conflict.columns(['series', 'at_ms']).doNothing())
      .execute();
  for (let start = 0; start < results.length; start += ROWS_PER_INSERT)
    await transaction
      .insertInto('device_results')
      .values(results.slice(start, start + ROWS_PER_INSERT))
      .onConflict((conflict) => conflict.columns(['series', 'at_ms', 'workload', 'model', 'version']).doNothing())
      .execute();
}

/** The numbers that were taken, of the spools that one transaction has to do with. */
class TakenNumbers {
  readonly #transaction: Transaction<Database>;
  readonly #queries: TelemetryQueries;
  readonly #known = new Map<string, { series: number; spool: string; before: SequenceRange[]; ranges: SequenceRange[] }>();

  constructor(transaction: Transaction<Database>, queries: TelemetryQueries) {
    this.#transaction = transaction;
    this.#queries = queries;
  }

  /** Takes a batch's numbers. @returns whether a number was not taken before; all are new where there are none. */
  async take(series: number, spool: TelemetryWrite['spool']): Promise<(sequence: number | undefined) => boolean> {
    if (spool === undefined) return () => true;
    const { id, first, last } = spool;
    const key = `${series}/${id}`;
    const before = await this.#read(series, id);
    const known = this.#known.get(key) ?? { series, spool: id, before, ranges: before };
    const taken = known.ranges;
    this.#known.set(key, { ...known, ranges: addRange(taken, { first, last: Math.max(first, last) }) });
    return (sequence) => sequence !== undefined && sequence >= first && sequence <= last && !hasNumber(taken, sequence);
  }

  async save(): Promise<void> {
    for (const { series, spool, before, ranges } of this.#known.values()) {
      const isIn = (list: readonly SequenceRange[], range: SequenceRange) =>
        list.some(({ first, last }) => first === range.first && last === range.last);
      const gone = before.filter((range) => !isIn(ranges, range)).map(({ first }) => first);
      const of = { series, spool, taken_at_ms: Date.now() };
      const made = ranges
        .filter((range) => !isIn(before, range))
        .map(({ first, last }) => ({ ...of, first_number: first, last_number: last }));
      if (gone.length > 0)
        await this.#transaction
          .deleteFrom('taken_numbers')
          .where('series', '=', series)
          .where('spool', '=', spool)
          .where('first_number', 'in', gone)
          .execute();
      if (made.length > 0) await this.#transaction.insertInto('taken_numbers').values(made).execute();
      if (before.length === 0) await this.#forgetOld(series);
    }
  }

  async #read(series: number, spool: string): Promise<SequenceRange[]> {
    const { rows } = await this.#transaction.executeQuery(this.#queries.taken({ series, spool }));
    return rows.map((row) => ({ first: Number(row.first_number), last: Number(row.last_number) }));
  }

  /** Of a device whose folder is made anew again and again, the oldest. */
  async #forgetOld(series: number): Promise<void> {
    const spools = await this.#transaction
      .selectFrom('taken_numbers')
      .select(({ fn }) => ['spool', fn.max('taken_at_ms').as('at')])
      .where('series', '=', series)
      .groupBy('spool')
      .orderBy('at', 'desc')
      .orderBy('spool')
      .execute();
    const old = spools.slice(MAX_SPOOLS).map(({ spool }) => spool);
    if (old.length > 0)
      await this.#transaction.deleteFrom('taken_numbers').where('series', '=', series).where('spool', 'in', old).execute();
  }
}

import Database from 'better-sqlite3';
import { Kysely, SqliteDialect } from 'kysely';
import { describe, expect, it } from 'vitest';
import { prepareQuery } from './prepared-query.ts';

interface Tables {
  readings: { device: string; value: number; unit: string };
}

describe('a prepared query', () => {
  it('is built once, and takes the values of each call where they belong', async () => {
    const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: new Database(':memory:') }) });
    await db.schema.createTable('readings').addColumn('device', 'text').addColumn('value', 'real').addColumn('unit', 'text').execute();
    let built = 0;
    const insert = prepareQuery(({ device, value }: { device: string; value: number }) => {
      built += 1;
      return db.insertInto('readings').values({ value, unit: 'C', device });
    });
    for (const value of [1, 2]) await db.executeQuery(insert({ device: `d-${value}`, value }));
    expect(built).toBe(1);
    expect(await db.selectFrom('readings').selectAll().execute()).toEqual([
      { device: 'd-1', value: 1, unit: 'C' },
      { device: 'd-2', value: 2, unit: 'C' },
    ]);
    await db.destroy();
  });
});

import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@selvedge/runtime';
import SqliteDatabase from 'better-sqlite3';
import { Kysely, SqliteDialect, sql } from 'kysely';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeMlflowStore } from '../../ports/mlflow-store.contract.ts';
import { describeStore, type StoreUnderTest } from '../../ports/store.contract.ts';
import { SQLITE_CAPABILITIES } from './dialect-capabilities.ts';
import { MIGRATION_NAME, MIGRATIONS, migrate } from './migrations.ts';
import { openPostgresStore } from './open-postgres-store.ts';
import { openStore } from './open-store.ts';
import type { Database } from './schema.ts';

const log = createLogger({ name: 'test', level: 'error' });

async function sqliteUnderTest(): Promise<StoreUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'store-'));
  return {
    open: (announce) => openStore({ file: join(folder, 'deep', 'server.db'), announce, log }),
    dispose: () => rm(folder, { recursive: true }),
  };
}
describeStore('SQLite', sqliteUnderTest);
describeMlflowStore('SQLite', sqliteUnderTest);

const postgresUrl = process.env.SELVEDGE_TEST_POSTGRES;
describe.skipIf(postgresUrl === undefined)('with SELVEDGE_TEST_POSTGRES', () => {
  let made = 0;
  const postgresUnderTest = async (): Promise<StoreUnderTest> => {
    const url = postgresUrl ?? '';
    made += 1;
    const schema = `selvedge_test_${process.pid}_${made}`;
    const admin = new pg.Client({ connectionString: url });
    await admin.connect();
    await admin.query(`create schema ${schema}`);
    return {
      open: (announce) => openPostgresStore({ url, schema, announce, log }),
      dispose: async () => {
        await admin.query(`drop schema ${schema} cascade`);
        await admin.end();
      },
    };
  };
  describeStore('PostgreSQL', postgresUnderTest);
  describeMlflowStore('PostgreSQL', postgresUnderTest);
});

describe('openStore', () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'store-'));
    file = join(folder, 'server.db');
  });
  afterEach(() => rm(folder, { recursive: true }));

  const open = () => openStore({ file, announce: () => undefined, log });

  it('finds everything again after it was opened a second time', async () => {
    const first = await open();
    const made = await first.create('Dataset', {
      name: 'a',
      labels: {},
      annotations: { note: 'x' },
      spec: {},
      status: { latestVersion: null, versions: [] },
    });
    await first.close();
    const second = await open();
    expect(await second.get('Dataset', 'a')).toEqual(made);
    await second.close();
  });

  it('keeps the file to its owner', async () => {
    await (await open()).close();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('names the row that is corrupt', async () => {
    const store = await open();
    const raw = new SqliteDatabase(file);
    raw.prepare("insert or replace into resources values ('Dataset', 'bad', 'u', 1, 1, '{}', '{}', '{oops', '{}', 't', 't')").run();
    raw.close();
    await expect(store.get('Dataset', 'bad')).rejects.toMatchObject({ code: 'INTERNAL', message: expect.stringContaining('Dataset/bad') });
    await store.close();
  });

  it('can be opened by two at once without migrating twice', async () => {
    const stores = await Promise.all([open(), open()]);
    for (const store of stores) await store.close();
  });
});

describe('migrations', () => {
  it('have names that sort in the order of the list', () => {
    const names = MIGRATIONS.map((migration) => migration.name);
    for (const name of names) expect(name).toMatch(MIGRATION_NAME);
    expect(names.map((name) => Number(name.slice(0, 4)))).toEqual(names.map((_, index) => index + 1));
  });

  it('apply once, and all or nothing', async () => {
    const db = new Kysely<Database>({ dialect: new SqliteDialect({ database: new SqliteDatabase(':memory:') }) });
    expect(await migrate(db, SQLITE_CAPABILITIES)).toEqual(MIGRATIONS.map((migration) => migration.name));
    expect(await migrate(db, SQLITE_CAPABILITIES)).toEqual([]);
    const failing = [...MIGRATIONS, { name: '9999-fails', up: () => [sql`create table half (id integer)`, sql`not a statement`] }];
    await expect(migrate(db, SQLITE_CAPABILITIES, failing)).rejects.toThrow();
    const { rows } = await sql`select name from sqlite_master where name = 'half'`.execute(db);
    expect(rows).toEqual([]);
    await db.destroy();
  });

  it('refuse a database of a newer version', async () => {
    const db = new Kysely<Database>({ dialect: new SqliteDialect({ database: new SqliteDatabase(':memory:') }) });
    await migrate(db, SQLITE_CAPABILITIES);
    await expect(migrate(db, SQLITE_CAPABILITIES, MIGRATIONS.slice(0, 1))).rejects.toThrow('newer version');
    await db.destroy();
  });
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { Kysely } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GroupCommitSqliteDialect } from './group-commit-sqlite.ts';

interface Tables {
  notes: { id: number; text: string };
}

describe('GroupCommitSqliteDialect', () => {
  let folder: string;
  let writer: SqliteDatabase.Database;
  let observer: SqliteDatabase.Database;
  let db: Kysely<Tables>;
  let commits: number;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'group-commit-'));
    const file = join(folder, 'notes.db');
    commits = 0;
    writer = new SqliteDatabase(file, {
      verbose: (sql) => {
        if (sql === 'commit') commits += 1;
      },
    });
    writer.pragma('journal_mode = WAL');
    writer.exec('create table notes (id integer primary key, text text not null)');
    observer = new SqliteDatabase(file, { readonly: true });
    db = new Kysely<Tables>({ dialect: new GroupCommitSqliteDialect(writer, new SqliteDatabase(file, { readonly: true })) });
  });
  afterEach(async () => {
    observer.close();
    await db.destroy();
    await rm(folder, { recursive: true });
  });

  const insert = (id: number, text = 'x') => db.insertInto('notes').values({ id, text }).execute();
  const stored = () => observer.prepare<[], number>('select id from notes order by id').pluck().all();

  it('writes what comes together with one commit, and tells of each only when it is on disk', async () => {
    const ids = Array.from({ length: 100 }, (_, index) => index + 1);
    const seen = await Promise.all(ids.map((id) => insert(id).then(() => stored().includes(id))));
    expect(seen).toEqual(ids.map(() => true));
    expect(commits).toBe(1);
  });

  it('commits several times when more come together than one group takes', async () => {
    await Promise.all(Array.from({ length: 1200 }, (_, index) => insert(index + 1)));
    expect(stored()).toHaveLength(1200);
    expect(commits).toBe(3);
  });

  it('reads only what is committed', async () => {
    const writing = insert(1);
    expect(await db.selectFrom('notes').selectAll().execute()).toEqual([]);
    await writing;
    expect(await db.selectFrom('notes').selectAll().execute()).toEqual([{ id: 1, text: 'x' }]);
  });

  it('undoes a transaction that fails, and nothing else of its group', async () => {
    const failing = db.transaction().execute(async (transaction) => {
      await transaction.insertInto('notes').values({ id: 2, text: 'b' }).execute();
      throw new Error('changed my mind');
    });
    const duplicate = [insert(1), insert(1), insert(3)];
    await expect(failing).rejects.toThrow('changed my mind');
    const outcomes = await Promise.allSettled(duplicate);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(stored()).toEqual([1, 3]);
  });

  it('keeps the transactions of one group apart, also those that wait for something else in between', async () => {
    const add = (id: number) =>
      db.transaction().execute(async (transaction) => {
        const { total } = await transaction
          .selectFrom('notes')
          .select(({ fn }) => fn.countAll<number>().as('total'))
          .executeTakeFirstOrThrow();
        await new Promise((resolve) => setImmediate(resolve));
        await transaction
          .insertInto('notes')
          .values({ id, text: String(total) })
          .execute();
      });
    await Promise.all([add(1), add(2), add(3)]);
    expect(await db.selectFrom('notes').select('text').orderBy('id').execute()).toEqual([{ text: '0' }, { text: '1' }, { text: '2' }]);
  });

  it('tells everyone of a group when the disk is full, and goes on when there is space again', async () => {
    await insert(1);
    const pages = Number(writer.pragma('page_count', { simple: true }));
    writer.pragma(`max_page_count = ${pages + 2}`);
    const outcomes = await Promise.allSettled([insert(2, 'small'), insert(3, 'x'.repeat(100_000)), insert(4, 'small')]);
    expect(outcomes[1]).toMatchObject({ status: 'rejected', reason: { code: 'DISK_FULL', message: expect.stringContaining('notes.db') } });
    const acknowledged = [1, ...[2, 3, 4].filter((_, index) => outcomes[index]?.status === 'fulfilled')];
    expect(stored()).toEqual(acknowledged);
    const both = db.transaction().execute(async (transaction) => {
      await transaction.insertInto('notes').values({ id: 6, text: 'small' }).execute();
      await transaction
        .insertInto('notes')
        .values({ id: 7, text: 'x'.repeat(100_000) })
        .execute();
    });
    await expect(both).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(stored()).toEqual(acknowledged);
    writer.pragma('max_page_count = 1000000');
    await insert(5);
    expect(stored()).toEqual([...acknowledged, 5]);
  });

  it('writes nothing for a transaction that goes on after the disk was full', async () => {
    await insert(1);
    writer.pragma(`max_page_count = ${Number(writer.pragma('page_count', { simple: true })) + 2}`);
    const stubborn = db.transaction().execute(async (transaction) => {
      const add = (id: number, text: string) => transaction.insertInto('notes').values({ id, text }).execute();
      await add(2, 'x'.repeat(100_000)).catch(() => undefined);
      await add(3, 'small');
    });
    const outcome = await stubborn.then(
      () => 'written',
      () => 'refused',
    );
    // Which of the two SQLite decides; never is 3 there and its transaction refused.
    expect(stored()).toEqual(outcome === 'written' ? [1, 3] : [1]);
    expect(writer.inTransaction).toBe(false);
  });

  it('has everything on disk when it is closed at once', async () => {
    const writing = insert(1);
    while (!writer.inTransaction) await Promise.resolve();
    await db.destroy();
    await writing;
    expect(stored()).toEqual([1]);
  });
});

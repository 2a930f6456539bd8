import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from '@selvedge/runtime';
import SqliteDatabase from 'better-sqlite3';
import { Kysely, SqliteDialect } from 'kysely';
import type { AnnounceChange, Store } from '../../ports/store.ts';
import { SQLITE_CAPABILITIES } from './dialect-capabilities.ts';
import { GroupCommitSqliteDialect } from './group-commit-sqlite.ts';
import { migrate } from './migrations.ts';
import type { Database } from './schema.ts';
import { createSqlStore } from './sql-store.ts';

/**
 * Opens, and makes when missing, the SQLite database in one file (mode 0600), and brings it up to date.
 *
 * Write-ahead log with synchronous FULL: what was acknowledged survives a power cut, not only a crash.
 *
 * @param options.announce - called after each commit that wrote or deleted a resource.
 */
export async function openStore(options: { file: string; announce: AnnounceChange; log: Logger }): Promise<Store> {
  await mkdir(dirname(options.file), { recursive: true });
  await (await open(options.file, 'a', 0o600)).close();
  const database = new SqliteDatabase(options.file);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.pragma('foreign_keys = ON');
  database.pragma('busy_timeout = 5000');
  try {
    const applied = await migrate(new Kysely<Database>({ dialect: new SqliteDialect({ database }) }), SQLITE_CAPABILITIES);
    if (applied.length > 0) options.log.info('database migrated', { file: options.file, applied });
    const reader = new SqliteDatabase(options.file, { readonly: true });
    const dialect = new GroupCommitSqliteDialect(database, reader);
    return createSqlStore(new Kysely<Database>({ dialect }), SQLITE_CAPABILITIES, options.announce);
  } catch (error) {
    database.close();
    throw error;
  }
}

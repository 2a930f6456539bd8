import type { Logger } from '@selvedge/runtime';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import type { AnnounceChange, Store } from '../../ports/store.ts';
import { POSTGRES_CAPABILITIES } from './dialect-capabilities.ts';
import { migrate } from './migrations.ts';
import type { Database } from './schema.ts';
import { createSqlStore } from './sql-store.ts';

/**
 * Opens the same store on PostgreSQL and brings it up to date.
 *
 * @param options.schema - search path for every table; default the database's own.
 */
export async function openPostgresStore(options: { url: string; schema?: string; announce: AnnounceChange; log: Logger }): Promise<Store> {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: 10,
    ...(options.schema === undefined ? {} : { options: `-c search_path=${options.schema}` }),
  });
  pool.on('error', (error) => options.log.warn('an idle database connection broke', { error: error.message }));
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
  try {
    const applied = await migrate(db, POSTGRES_CAPABILITIES);
    if (applied.length > 0) options.log.info('database migrated', { applied });
  } catch (error) {
    await db.destroy();
    throw error;
  }
  return createSqlStore(db, POSTGRES_CAPABILITIES, options.announce);
}

import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { DialectCapabilities } from './dialect-capabilities.ts';
import type { Database } from './schema.ts';

export interface Migration {
  /** Four digits, growing by one, and words: `0001-resources`. Never renamed: databases remember it. */
  readonly name: string;
  up(dialect: DialectCapabilities): RawBuilder<unknown>[];
}

export const MIGRATION_NAME = /^\d{4}(-[a-z0-9]+)+$/;

/** Forward only. A released migration is never edited; add first, drop a release later. */
export const MIGRATIONS: readonly Migration[] = [
  {
    name: '0001-resources',
    up: (d) => [
      sql`create table resources (
        kind ${d.sortedText} not null,
        name ${d.sortedText} not null,
        uid text not null,
        generation integer not null,
        resource_version ${d.wideInteger} not null,
        labels text not null,
        annotations text not null,
        spec text not null,
        status text not null,
        created_at text not null,
        updated_at text not null,
        primary key (kind, name)
      )`,
    ],
  },
  {
    name: '0002-series',
    up: (d) => [
      sql`create table metric_points (
        run ${d.sortedText} not null,
        metric ${d.sortedText} not null,
        step ${d.double} not null,
        value ${d.double} not null,
        at text not null,
        primary key (run, metric, step)
      ) ${d.clusteredTable}`,
      sql`create table telemetry_series (id ${d.countedKey}, device text not null unique)`,
      sql`create table telemetry (
        series integer not null references telemetry_series (id),
        at_ms ${d.wideInteger} not null,
        cpu ${d.double},
        memory_used ${d.double},
        memory_total ${d.double},
        disk_used ${d.double},
        disk_total ${d.double},
        temperature ${d.double},
        network_rx ${d.double},
        network_tx ${d.double},
        agent_rss ${d.double},
        primary key (series, at_ms)
      ) ${d.clusteredTable}`,
    ],
  },
  {
    name: '0003-credentials',
    up: (d) => [
      sql`create table join_tokens (
        secret_sha256 text primary key,
        expires_at ${d.sortedText} not null,
        uses_left integer not null,
        labels text not null
      )`,
      sql`create table login_codes (code_sha256 text primary key, user_name text not null, expires_at ${d.sortedText} not null)`,
      sql`create table sessions (id_sha256 text primary key, user_name text not null, expires_at ${d.sortedText} not null)`,
      sql`create table leases (name text primary key, owner text not null, until_at ${d.sortedText} not null)`,
    ],
  },
  {
    name: '0004-device-records',
    up: (d) => [
      sql`create table desired_states (device ${d.sortedText} primary key, revision ${d.wideInteger} not null, workloads text not null)`,
      sql`create table pending_certificates (
        device text primary key,
        device_uid text not null,
        serial text not null,
        fingerprint256 text not null,
        not_after text not null
      )`,
    ],
  },
  {
    name: '0005-step-results-and-triggers',
    up: (d) => [
      sql`create table step_results (key text primary key, tool text not null, artifact text not null, run text not null, step text not null)`,
      sql`create table trigger_states (
        pipeline ${d.sortedText} not null,
        name ${d.sortedText} not null,
        state text not null,
        primary key (pipeline, name)
      )`,
      sql`create table trigger_secrets (
        pipeline ${d.sortedText} not null,
        name ${d.sortedText} not null,
        secret text not null,
        primary key (pipeline, name)
      )`,
      sql`create table webhook_deliveries (signature text primary key, at ${d.sortedText} not null)`,
    ],
  },
  {
    name: '0006-mlflow',
    up: (d) => [
      sql`create table mlflow_experiments (
        id integer primary key,
        name text not null unique,
        lifecycle text not null,
        created_ms ${d.wideInteger} not null,
        updated_ms ${d.wideInteger} not null
      )`,
      // Clients that name no experiment log into number 0.
      sql`insert into mlflow_experiments (id, name, lifecycle, created_ms, updated_ms) values (0, 'Default', 'active', 0, 0)`,
      sql`create table mlflow_runs (
        id ${d.sortedText} primary key,
        experiment integer not null references mlflow_experiments (id),
        name text not null,
        user_name text not null,
        status text not null,
        start_ms ${d.wideInteger} not null,
        end_ms ${d.wideInteger},
        lifecycle text not null
      )`,
      sql`create index mlflow_runs_by_start on mlflow_runs (experiment, start_ms)`,
      ...['mlflow_params', 'mlflow_tags'].map(
        (table) => sql`create table ${sql.table(table)} (
          ${sql.ref(table === 'mlflow_tags' ? 'owner' : 'run')} ${d.sortedText} not null,
          name ${d.sortedText} not null,
          value text not null,
          primary key (${sql.ref(table === 'mlflow_tags' ? 'owner' : 'run')}, name)
        ) ${d.clusteredTable}`,
      ),
      ...['mlflow_metrics', 'mlflow_latest_metrics'].map(
        (table) => sql`create table ${sql.table(table)} (
          run ${d.sortedText} not null,
          name ${d.sortedText} not null,
          step ${d.wideInteger} not null,
          at_ms ${d.wideInteger} not null,
          value ${d.double} not null,
          is_nan integer not null,
          primary key (${sql.raw(table === 'mlflow_metrics' ? 'run, name, step, at_ms, value, is_nan' : 'run, name')})
        ) ${d.clusteredTable}`,
      ),
      sql`create table mlflow_artifacts (
        run ${d.sortedText} not null,
        path ${d.sortedText} not null,
        sha256 text not null,
        size_bytes ${d.wideInteger} not null,
        primary key (run, path)
      ) ${d.clusteredTable}`,
    ],
  },
  {
    name: '0007-joins',
    up: (d) => [
      sql`alter table join_tokens add column created_at text`,
      sql`alter table join_tokens add column uses integer`,
      sql`alter table join_tokens add column needs_approval integer not null default 0`,
      sql`alter table join_tokens add column ca_sha256 text`,
      sql`create table joins (
        id text primary key,
        key_sha256 text not null,
        secret_sha256 text not null,
        state text not null,
        labels text not null,
        address text not null,
        requested_at ${d.sortedText} not null,
        expires_at ${d.sortedText} not null
      )`,
      sql`create table join_names (device ${d.sortedText} primary key, join_id text not null unique)`,
      sql`alter table pending_certificates add column issuer_sha256 text`,
      sql`alter table pending_certificates add column key_sha256 text`,
    ],
  },
  {
    name: '0008-kept-telemetry',
    up: (d) => [
      sql`alter table telemetry add column summary text`,
      sql`create table device_results (
        series integer not null references telemetry_series (id),
        at_ms ${d.wideInteger} not null,
        workload ${d.sortedText} not null,
        model ${d.sortedText} not null,
        version ${d.sortedText} not null,
        span_s ${d.double} not null,
        requests ${d.wideInteger} not null,
        errors ${d.wideInteger} not null,
        p50_ms ${d.double},
        p95_ms ${d.double},
        details text not null,
        primary key (series, at_ms, workload, model, version)
      ) ${d.clusteredTable}`,
      sql`create table taken_numbers (
        series integer not null references telemetry_series (id),
        spool ${d.sortedText} not null,
        first_number ${d.wideInteger} not null,
        last_number ${d.wideInteger} not null,
        taken_at_ms ${d.wideInteger} not null,
        primary key (series, spool, first_number)
      ) ${d.clusteredTable}`,
    ],
  },
  {
    name: '0009-told-budgets',
    up: () => [sql`alter table desired_states add column budgets text`],
  },
];

/**
 * Brings the database up to date, in one transaction and under a lock: two processes that start at once do not collide,
 * and a crash leaves either all or nothing.
 *
 * @returns the names that were applied now.
 * @throws Error when the database holds a migration that this version does not know (data of a newer version).
 */
export async function migrate(
  db: Kysely<Database>,
  dialect: DialectCapabilities,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<string[]> {
  return await db.connection().execute(async (connection) => {
    const run = (statement: RawBuilder<unknown>) => statement.execute(connection);
    for (const statement of dialect.beginMigration) await run(sql.raw(statement));
    try {
      await run(sql`create table if not exists applied_migrations (name text primary key, applied_at text not null)`);
      const { rows } = await sql<{ name: string }>`select name from applied_migrations order by name`.execute(connection);
      const applied = new Set(rows.map((row) => row.name));
      const unknown = rows.map((row) => row.name).filter((name) => !migrations.some((migration) => migration.name === name));
      if (unknown.length > 0) throw new Error(`the database has migrations of a newer version: ${unknown.join(', ')}`);
      const missing = migrations.filter((migration) => !applied.has(migration.name));
      for (const migration of missing) {
        for (const statement of migration.up(dialect)) await run(statement);
        await run(sql`insert into applied_migrations (name, applied_at) values (${migration.name}, ${new Date().toISOString()})`);
      }
      await run(sql.raw('commit'));
      return missing.map((migration) => migration.name);
    } catch (error) {
      await run(sql.raw('rollback'));
      throw error;
    }
  });
}

import { type Expression, type RawBuilder, type SqlBool, sql } from 'kysely';

/** All that differs between the databases, by what it is for. Queries and migrations ask here and never for a name. */
export interface DialectCapabilities {
  /** Type of a text column that sorts by code point. */
  readonly sortedText: RawBuilder<unknown>;
  /** Type of an integer that may exceed 32 bits. */
  readonly wideInteger: RawBuilder<unknown>;
  /** Type of a 64-bit floating point number. */
  readonly double: RawBuilder<unknown>;
  /** Type of a primary key that the database counts up. */
  readonly countedKey: RawBuilder<unknown>;
  /** Clause after the column list of a table whose primary key is all there is to find a row by. */
  readonly clusteredTable: RawBuilder<unknown>;
  /** Whether a read in a transaction must lock the row it will change. SQLite has one writer and one connection here. */
  readonly locksRows: boolean;
  /** Begin a transaction in which no other process migrates. */
  readonly beginMigration: readonly string[];
  /** A JSON text column has this string under this key. */
  jsonTextEquals(column: Expression<string>, key: string, value: string): RawBuilder<SqlBool>;
  /** All numbers of a column of a group as the text of one JSON array, in the order of `by`, by which the group is read anyway. */
  jsonArray(column: Expression<number>, by: Expression<number>): RawBuilder<string>;
  /** SQL's LIKE ("%" any text, "_" any character, no escapes) that tells upper from lower case, or (ASCII) does not. */
  like(column: Expression<string>, pattern: string, ignoreCase: boolean): RawBuilder<SqlBool>;
}

export const SQLITE_CAPABILITIES: DialectCapabilities = {
  sortedText: sql`text`,
  wideInteger: sql`integer`,
  double: sql`real`,
  countedKey: sql`integer primary key`,
  clusteredTable: sql`without rowid`,
  locksRows: false,
  beginMigration: ['begin immediate'],
  jsonTextEquals: (column, key, value) =>
    sql<SqlBool>`exists (select 1 from json_each(${column}) as entry where entry.key = ${key} and entry.value = ${value})`,
  // An "order by" in the aggregate would sort again what the key of the table has sorted: three times as long.
  jsonArray: (column) => sql<string>`json_group_array(${column})`,
  // SQLite's LIKE ignores case; its GLOB does not, and has other wildcards.
  like: (column, pattern, ignoreCase) =>
    ignoreCase ? sql<SqlBool>`${column} like ${pattern}` : sql<SqlBool>`${column} glob ${globOf(pattern)}`,
};

function globOf(pattern: string): string {
  const parts: Record<string, string> = { '%': '*', _: '?', '*': '[*]', '?': '[?]', '[': '[[]' };
  return pattern.replace(/[%_*?[]/g, (character) => parts[character] ?? character);
}

/** Any number that nothing else in the database locks. */
const MIGRATION_LOCK = 7_353_834;

export const POSTGRES_CAPABILITIES: DialectCapabilities = {
  sortedText: sql`text collate "C"`,
  wideInteger: sql`bigint`,
  double: sql`double precision`,
  countedKey: sql`integer generated always as identity primary key`,
  clusteredTable: sql``,
  locksRows: true,
  beginMigration: ['begin', `select pg_advisory_xact_lock(${MIGRATION_LOCK})`],
  jsonTextEquals: (column, key, value) => sql<SqlBool>`(${column})::jsonb ->> ${key}::text = ${value}::text`,
  jsonArray: (column, by) => sql<string>`json_agg(${column} order by ${by})::text`,
  like: (column, pattern, ignoreCase) =>
    ignoreCase ? sql<SqlBool>`${column} ilike ${pattern} escape ''` : sql<SqlBool>`${column} like ${pattern} escape ''`,
};

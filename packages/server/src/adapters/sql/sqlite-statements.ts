import type SqliteDatabase from 'better-sqlite3';
import type { CompiledQuery, QueryResult } from 'kysely';

/** Compiled statements that are kept: each takes some kilobytes, and compiling takes longer than a short query does. */
const MAX_STATEMENTS = 200;

/** Runs what Kysely has compiled on one connection, and keeps the statements that were used last. */
export class SqliteStatements {
  readonly #database: SqliteDatabase.Database;
  readonly #known = new Map<string, SqliteDatabase.Statement<unknown[]>>();

  constructor(database: SqliteDatabase.Database) {
    this.#database = database;
  }

  run<R>({ sql, parameters }: CompiledQuery): QueryResult<R> {
    const statement = this.#prepare(sql);
    if (statement.reader) return { rows: statement.all(...parameters) as R[] }; // Kysely knows the type of the query it made
    const { changes, lastInsertRowid } = statement.run(...parameters);
    return { numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid), rows: [] };
  }

  #prepare(sql: string): SqliteDatabase.Statement<unknown[]> {
    const known = this.#known.get(sql);
    if (known !== undefined) this.#known.delete(sql); // to the end, as the one used last
    const statement = known ?? this.#database.prepare<unknown[]>(sql);
    this.#known.set(sql, statement);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_STATEMENTS && oldest !== undefined) this.#known.delete(oldest);
    return statement;
  }
}

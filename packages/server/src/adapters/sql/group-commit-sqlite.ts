import type SqliteDatabase from 'better-sqlite3';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { explainFullDisk } from './full-disk.ts';
import { SqliteStatements } from './sqlite-statements.ts';

/** Writers that share one commit at most: so much is written again when it fails. */
const MAX_GROUP = 500;
/**
 * Least time between two commits, each of which waits for the disk. Where many write at once it grows with how many share a commit, so
 * that more do; one who writes again and again, and waits each time, is not held up.
 */
const COMMIT_GAP_MS = 4;
const MAX_COMMIT_GAP_MS = 20;
/** How much of the average size of groups the newest one makes up. */
const NEWEST_SHARE = 0.1;

/** Writers of one turn of the event loop; each is told when all are on disk. */
class CommitGroup {
  size = 0;
  resolve: () => void = () => undefined;
  reject: (error: unknown) => void = () => undefined;
  readonly committed = new Promise<void>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });

  constructor() {
    // Whoever takes part awaits it; one that has failed by itself already does not.
    this.committed.catch(() => undefined);
  }
}

/**
 * The one connection that writes. What is asked for within a moment goes into one SQLite transaction, each part in a savepoint of its
 * own, so that a thousand devices that speak at once wait for a few syncs of the disk and not for a thousand.
 * Nobody is told of success before the commit: what was acknowledged is on disk, as with a transaction each.
 */
class GroupWriter {
  readonly #database: SqliteDatabase.Database;
  readonly #statements: SqliteStatements;
  readonly #waiting: (() => void)[] = [];
  #held = false;
  #group: CommitGroup | undefined;
  #due = false;
  #committedAtMs = 0;
  #averageSize = 1;

  constructor(database: SqliteDatabase.Database) {
    this.#database = database;
    this.#statements = new SqliteStatements(database);
  }

  /** Resolves when it is this writer's turn, in the order of the calls; `leave` ends it. */
  enter(): Promise<void> {
    if (this.#held) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#held = true;
    return Promise.resolve();
  }

  leave(): void {
    if (this.#due || (this.#group?.size ?? 0) >= MAX_GROUP) this.#commit();
    const next = this.#waiting.shift();
    if (next === undefined) this.#held = false;
    else next();
  }

  /** What the holder writes from now on is committed with this group. */
  join(): CommitGroup {
    const group = this.#group ?? this.#begin();
    group.size += 1;
    return group;
  }

  run<R>(query: CompiledQuery): QueryResult<R> {
    return this.#watched(() => this.#statements.run<R>(query));
  }

  /** @throws Error when the whole group was undone: a transaction that goes on all the same must not write outside of it. */
  runIn<R>(group: CommitGroup, query: CompiledQuery): QueryResult<R> {
    if (group !== this.#group) throw new Error('The transaction was undone when the disk failed.');
    return this.run<R>(query);
  }

  exec(text: string): void {
    this.#watched(() => this.#database.exec(text));
  }

  /** Undoes what the holder has written; nothing is left to undo when its whole group was. */
  undo(savepoint: string): void {
    if (this.#database.inTransaction) this.exec(`rollback to ${savepoint}; release ${savepoint}`);
  }

  close(): void {
    if (this.#group !== undefined) this.#commit();
    this.#database.close();
  }

  #begin(): CommitGroup {
    this.#watched(() => this.#database.exec('begin immediate'));
    const group = new CommitGroup();
    this.#group = group;
    this.#due = false;
    const gapMs = Math.min(COMMIT_GAP_MS * this.#averageSize, MAX_COMMIT_GAP_MS);
    const waitMs = this.#committedAtMs + gapMs - performance.now();
    if (waitMs > 0) setTimeout(() => this.#fallDue(group), waitMs);
    else setImmediate(() => this.#fallDue(group));
    return group;
  }

  #fallDue(group: CommitGroup): void {
    if (this.#group !== group) return;
    this.#due = true;
    if (!this.#held) this.#commit(); // otherwise when the holder leaves
  }

  #commit(): void {
    const group = this.#group;
    this.#group = undefined;
    this.#due = false;
    if (group === undefined) return;
    this.#averageSize += (group.size - this.#averageSize) * NEWEST_SHARE;
    try {
      this.#database.exec('commit');
      this.#committedAtMs = performance.now();
      group.resolve();
    } catch (error) {
      if (this.#database.inTransaction) this.#database.exec('rollback');
      group.reject(explainFullDisk(error, this.#database.name));
    }
  }

  /** SQLite undoes the whole transaction by itself when the disk is full or broken: then everyone of the group is told. */
  #watched<T>(work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      const error = explainFullDisk(thrown, this.#database.name);
      if (!this.#database.inTransaction) {
        this.#group?.reject(error);
        this.#group = undefined;
        this.#due = false;
      }
      throw error;
    }
  }
}

const SAVEPOINT = 'member';

/** What Kysely takes for a connection: reads go to one that sees only what is committed, writes and transactions to the writer. */
class Lease implements DatabaseConnection {
  readonly #writer: GroupWriter;
  readonly #reader: SqliteStatements;
  #group: CommitGroup | undefined;

  constructor(writer: GroupWriter, reader: SqliteStatements) {
    this.#writer = writer;
    this.#reader = reader;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (this.#group !== undefined) return this.#writer.runIn<R>(this.#group, query);
    if (query.query.kind === 'SelectQueryNode') return this.#reader.run<R>(query);
    await this.#writer.enter();
    let written: { result: QueryResult<R>; group: CommitGroup };
    try {
      written = { group: this.#writer.join(), result: this.#writer.run<R>(query) };
    } finally {
      this.#writer.leave();
    }
    await written.group.committed;
    return written.result;
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('Rows are not streamed from SQLite.');
  }

  async begin(): Promise<void> {
    await this.#writer.enter();
    try {
      this.#group = this.#writer.join();
      this.#writer.exec(`savepoint ${SAVEPOINT}`);
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  async commit(): Promise<void> {
    const group = this.#group;
    this.#writer.exec(`release ${SAVEPOINT}`);
    this.#end();
    await group?.committed;
  }

  rollback(): void {
    if (this.#group === undefined) return; // the commit has failed, and with it everything
    try {
      this.#writer.undo(SAVEPOINT);
    } finally {
      this.#end();
    }
  }

  #end(): void {
    this.#group = undefined;
    this.#writer.leave();
  }
}

class GroupCommitDriver implements Driver {
  readonly #writer: GroupWriter;
  readonly #readerDatabase: SqliteDatabase.Database;
  readonly #reader: SqliteStatements;

  constructor(writer: SqliteDatabase.Database, reader: SqliteDatabase.Database) {
    this.#writer = new GroupWriter(writer);
    this.#readerDatabase = reader;
    this.#reader = new SqliteStatements(reader);
  }

  init(): Promise<void> {
    return Promise.resolve();
  }

  acquireConnection(): Promise<Lease> {
    return Promise.resolve(new Lease(this.#writer, this.#reader));
  }

  releaseConnection(): Promise<void> {
    return Promise.resolve();
  }

  beginTransaction(lease: Lease): Promise<void> {
    return lease.begin();
  }

  commitTransaction(lease: Lease): Promise<void> {
    return lease.commit();
  }

  rollbackTransaction(lease: Lease): Promise<void> {
    lease.rollback();
    return Promise.resolve();
  }

  destroy(): Promise<void> {
    this.#readerDatabase.close();
    this.#writer.close();
    return Promise.resolve();
  }
}

/**
 * SQLite with one connection that writes and commits in groups, and one that reads what is committed. Kysely's own driver has one
 * connection that each query waits for, and a commit per transaction.
 */
export class GroupCommitSqliteDialect implements Dialect {
  readonly #writer: SqliteDatabase.Database;
  readonly #reader: SqliteDatabase.Database;

  /** Both on one file in WAL mode; destroying the Kysely closes both. */
  constructor(writer: SqliteDatabase.Database, reader: SqliteDatabase.Database) {
    this.#writer = writer;
    this.#reader = reader;
  }

  createDriver(): GroupCommitDriver {
    return new GroupCommitDriver(this.#writer, this.#reader);
  }

  createQueryCompiler(): SqliteQueryCompiler {
    return new SqliteQueryCompiler();
  }

  createAdapter(): SqliteAdapter {
    return new SqliteAdapter();
  }

  createIntrospector(db: Kysely<unknown>): SqliteIntrospector {
    return new SqliteIntrospector(db);
  }
}

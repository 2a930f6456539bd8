import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { AppError, type Kind } from '@selvedge/contract';
import type { Kysely, Transaction } from 'kysely';
import type { AnnounceChange, ListQuery, ResourceDraft, ResourceOf, ResourceStore } from '../../ports/store.ts';
import type { DialectCapabilities } from './dialect-capabilities.ts';
import { KnownResources } from './known-resources.ts';
import { prepareQuery } from './prepared-query.ts';
import { changedColumns, draftColumns, parseResource, type ResourceRow } from './rows.ts';
import type { Database } from './schema.ts';

const MAX_PAGE = 1000;
/** Updates per transaction. */
const MAX_UPDATES = 200;

interface Key {
  kind: Kind;
  name: string;
}

type WrittenColumns = Omit<ResourceRow, 'uid' | 'created_at'>;

interface PendingUpdate {
  order: string;
  /** @returns what is to be done once it is committed. */
  write: (transaction: Transaction<Database>) => Promise<() => void>;
  reject: (error: unknown) => void;
}

export class SqlResources implements ResourceStore {
  readonly #db: Kysely<Database>;
  readonly #dialect: DialectCapabilities;
  readonly #announce: AnnounceChange;
  readonly #known = new KnownResources();
  /** What is asked for most: by each device that connects, and by each that says something. */
  readonly #selectOne = prepareQuery<Key, ResourceRow>(({ kind, name }) => this.#one(kind, name));
  readonly #selectForUpdate = prepareQuery<Key, ResourceRow>(({ kind, name }) =>
    this.#dialect.locksRows ? this.#one(kind, name).forUpdate() : this.#one(kind, name),
  );
  readonly #updateOne = prepareQuery<WrittenColumns, unknown>((row) => {
    const { labels, annotations, spec, status, generation, resource_version, updated_at } = row;
    return this.#db
      .updateTable('resources')
      .set({ labels, annotations, spec, status, generation, resource_version, updated_at })
      .where('kind', '=', row.kind)
      .where('name', '=', row.name);
  });
  #pending: PendingUpdate[] = [];
  #flushing: Promise<void> | undefined;

  constructor(db: Kysely<Database>, dialect: DialectCapabilities, announce: AnnounceChange) {
    this.#db = db;
    this.#dialect = dialect;
    this.#announce = announce;
  }

  async get<K extends Kind>(kind: K, name: string): Promise<ResourceOf<K> | undefined> {
    const [row] = (await this.#db.executeQuery(this.#selectOne({ kind, name }))).rows;
    return row === undefined ? undefined : this.#known.read(kind, row);
  }

  #one(kind: Kind, name: string) {
    return this.#db.selectFrom('resources').selectAll().where('kind', '=', kind).where('name', '=', name);
  }

  async list<K extends Kind>(kind: K, query: ListQuery = {}): Promise<{ items: ResourceOf<K>[]; next: string | null }> {
    const limit = Math.min(Math.max(Math.trunc(query.limit ?? MAX_PAGE), 1), MAX_PAGE);
    const { after } = query;
    let select = this.#db.selectFrom('resources').selectAll().where('kind', '=', kind);
    if (after !== undefined) select = select.where('name', '>', after);
    for (const [key, value] of Object.entries(query.labels ?? {}))
      select = select.where((eb) => this.#dialect.jsonTextEquals(eb.ref('labels'), key, value));
    const rows = await select
      .orderBy('name')
      .limit(limit + 1)
      .execute();
    const items = rows.slice(0, limit).map((row) => this.#known.read(kind, row));
    return { items, next: rows.length > limit ? (items.at(-1)?.metadata.name ?? null) : null };
  }

  async listStamps(kind: Kind): Promise<ReadonlyMap<string, string>> {
    const rows = await this.#db.selectFrom('resources').select(['name', 'uid', 'resource_version']).where('kind', '=', kind).execute();
    return new Map(rows.map((row) => [row.name, `${row.uid}/${Number(row.resource_version)}`]));
  }

  async create<K extends Kind>(kind: K, draft: ResourceDraft<K>): Promise<ResourceOf<K>> {
    const now = new Date().toISOString();
    const row = await this.#db
      .insertInto('resources')
      .values({
        kind,
        name: draft.name,
        uid: randomUUID(),
        generation: 1,
        resource_version: 1,
        ...draftColumns(draft),
        created_at: now,
        updated_at: now,
      })
      .onConflict((conflict) => conflict.columns(['kind', 'name']).doNothing())
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) throw new AppError('CONFLICT', { message: `There is a ${kind} named "${draft.name}" already.` });
    const resource = this.#known.read(kind, row);
    this.#announce('written', resource);
    return resource;
  }

  update<K extends Kind>(
    kind: K,
    name: string,
    change: (current: ResourceOf<K>) => ResourceDraft<K> | undefined,
  ): Promise<ResourceOf<K> | undefined> {
    return new Promise((resolve, reject) => {
      const write = async (transaction: Transaction<Database>) => {
        const outcome = await this.#write(transaction, kind, name, change);
        return () => {
          if (outcome?.written === true) {
            this.#known.remember(outcome.resource);
            this.#announce('written', outcome.resource);
          }
          resolve(outcome?.resource);
        };
      };
      this.#pending.push({ order: `${kind}/${name}`, write, reject });
      this.#flushing ??= this.#flush();
    });
  }

  /**
   * Writes what has come together in one transaction, so that a thousand devices that report at once wait for a few commits
   * and not for a thousand. In order of the names, so that two servers on one database do not lock each other out.
   */
  async #flush(): Promise<void> {
    await Promise.resolve(); // whatever is asked for in this turn goes along
    while (this.#pending.length > 0) {
      const batch = this.#pending.splice(0, MAX_UPDATES);
      batch.sort((a, b) => (a.order < b.order ? -1 : a.order > b.order ? 1 : 0));
      for (const tell of await this.#writeAll(batch)) tell();
    }
    this.#flushing = undefined;
  }

  /** One that fails takes the whole transaction with it; alone, each succeeds or fails by itself. */
  async #writeAll(batch: readonly PendingUpdate[]): Promise<(() => void)[]> {
    try {
      return await this.#db.transaction().execute(async (transaction) => {
        const committed: (() => void)[] = [];
        for (const { write } of batch) committed.push(await write(transaction));
        return committed;
      });
    } catch (error) {
      const [only] = batch;
      if (batch.length === 1 && only !== undefined) return [() => only.reject(error)];
      const committed: (() => void)[] = [];
      for (const item of batch) committed.push(...(await this.#writeAll([item])));
      return committed;
    }
  }

  async #write<K extends Kind>(
    transaction: Transaction<Database>,
    kind: K,
    name: string,
    change: (current: ResourceOf<K>) => ResourceDraft<K> | undefined,
  ): Promise<{ resource: ResourceOf<K>; written: boolean } | undefined> {
    const [row] = (await transaction.executeQuery(this.#selectForUpdate({ kind, name }))).rows;
    if (row === undefined) return undefined;
    const before = this.#known.find(kind, row) ?? parseResource(kind, row);
    const draft = change(before);
    if (draft === undefined) return { resource: before, written: false };
    const columns = changedColumns(before, row, draft);
    if (columns === undefined) return { resource: before, written: false };
    // a spec that a newer schema writes in another order, or with its defaults, is no edit
    const isEdit = columns.spec !== row.spec && !isDeepStrictEqual(JSON.parse(columns.spec), before.spec);
    const written = {
      ...row,
      ...columns,
      generation: before.metadata.generation + (isEdit ? 1 : 0),
      resource_version: before.metadata.resourceVersion + 1,
      updated_at: new Date().toISOString(),
    };
    // read before it is written: what could not be read again is not to be stored
    const resource = parseResource(kind, written);
    await transaction.executeQuery(this.#updateOne(written));
    return { resource, written: true };
  }

  async delete(kind: Kind, name: string): Promise<boolean> {
    const row = await this.#db.deleteFrom('resources').where('kind', '=', kind).where('name', '=', name).returningAll().executeTakeFirst();
    if (row === undefined) return false;
    this.#announce('deleted', this.#known.read(kind, row));
    return true;
  }
}

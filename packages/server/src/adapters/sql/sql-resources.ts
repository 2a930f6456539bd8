import { randomUUID } from 'node:crypto';
import { AppError, type Kind } from '@selvedge/contract';
import type { Kysely } from 'kysely';
import type { AnnounceChange, ListQuery, ResourceDraft, ResourceOf, ResourceStore } from '../../ports/store.ts';
import type { DialectCapabilities } from './dialect-capabilities.ts';
import { draftColumns, parseResource } from './rows.ts';
import type { Database } from './schema.ts';

const MAX_PAGE = 1000;

export class SqlResources implements ResourceStore {
  readonly #db: Kysely<Database>;
  readonly #dialect: DialectCapabilities;
  readonly #announce: AnnounceChange;

  constructor(db: Kysely<Database>, dialect: DialectCapabilities, announce: AnnounceChange) {
    this.#db = db;
    this.#dialect = dialect;
    this.#announce = announce;
  }

  async get<K extends Kind>(kind: K, name: string): Promise<ResourceOf<K> | undefined> {
    const row = await this.#db.selectFrom('resources').selectAll().where('kind', '=', kind).where('name', '=', name).executeTakeFirst();
    return row === undefined ? undefined : parseResource(kind, row);
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
    const items = rows.slice(0, limit).map((row) => parseResource(kind, row));
    return { items, next: rows.length > limit ? (items.at(-1)?.metadata.name ?? null) : null };
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
    const resource = parseResource(kind, row);
    this.#announce('written', resource);
    return resource;
  }

  async update<K extends Kind>(
    kind: K,
    name: string,
    change: (current: ResourceOf<K>) => ResourceDraft<K> | undefined,
  ): Promise<ResourceOf<K> | undefined> {
    const outcome = await this.#db.transaction().execute(async (transaction) => {
      const current = transaction.selectFrom('resources').selectAll().where('kind', '=', kind).where('name', '=', name);
      const row = await (this.#dialect.locksRows ? current.forUpdate() : current).executeTakeFirst();
      if (row === undefined) return undefined;
      const before = parseResource(kind, row);
      const draft = change(before);
      if (draft === undefined) return { resource: before, written: false };
      const columns = draftColumns(draft);
      const same = (Object.keys(columns) as (keyof typeof columns)[]).every((column) => columns[column] === row[column]);
      if (same) return { resource: before, written: false };
      const written = await transaction
        .updateTable('resources')
        .set({
          ...columns,
          generation: before.metadata.generation + (columns.spec === row.spec ? 0 : 1),
          resource_version: before.metadata.resourceVersion + 1,
          updated_at: new Date().toISOString(),
        })
        .where('kind', '=', kind)
        .where('name', '=', name)
        .returningAll()
        .executeTakeFirstOrThrow();
      return { resource: parseResource(kind, written), written: true };
    });
    if (outcome?.written === true) this.#announce('written', outcome.resource);
    return outcome?.resource;
  }

  async delete(kind: Kind, name: string): Promise<boolean> {
    const row = await this.#db.deleteFrom('resources').where('kind', '=', kind).where('name', '=', name).returningAll().executeTakeFirst();
    if (row === undefined) return false;
    this.#announce('deleted', parseResource(kind, row));
    return true;
  }
}

import type { Kysely } from 'kysely';
import * as z from 'zod';
import type { TriggerState, TriggerStore } from '../../ports/store.ts';
import type { DialectCapabilities } from './dialect-capabilities.ts';
import { parseColumn } from './rows.ts';
import type { Database } from './schema.ts';

const stateSchema = z.object({
  cursor: z.string().nullable(),
  pending: z.object({ id: z.string(), dueAt: z.string(), events: z.number(), detail: z.string(), by: z.string() }).nullable(),
  lastFiredAt: z.string().nullable(),
  lastRun: z.string().nullable(),
});
const NEW_STATE: TriggerState = { cursor: null, pending: null, lastFiredAt: null, lastRun: null };

export class SqlTriggers implements TriggerStore {
  readonly #db: Kysely<Database>;
  readonly #dialect: DialectCapabilities;

  constructor(db: Kysely<Database>, dialect: DialectCapabilities) {
    this.#db = db;
    this.#dialect = dialect;
  }

  async readTriggerState(pipeline: string, trigger: string): Promise<TriggerState | undefined> {
    const row = await this.#db
      .selectFrom('trigger_states')
      .select('state')
      .where('pipeline', '=', pipeline)
      .where('name', '=', trigger)
      .executeTakeFirst();
    return row === undefined ? undefined : parseColumn(stateSchema, row.state, `trigger ${pipeline}/${trigger}`);
  }

  async updateTriggerState(pipeline: string, trigger: string, change: (current: TriggerState) => TriggerState): Promise<TriggerState> {
    return this.#db.transaction().execute(async (transaction) => {
      const id = { pipeline, name: trigger };
      await transaction
        .insertInto('trigger_states')
        .values({ ...id, state: JSON.stringify(NEW_STATE) })
        .onConflict((conflict) => conflict.columns(['pipeline', 'name']).doNothing())
        .execute();
      const select = transaction.selectFrom('trigger_states').select('state').where('pipeline', '=', pipeline).where('name', '=', trigger);
      const row = await (this.#dialect.locksRows ? select.forUpdate() : select).executeTakeFirstOrThrow();
      const next = change(parseColumn(stateSchema, row.state, `trigger ${pipeline}/${trigger}`));
      const state = JSON.stringify(next);
      if (state !== row.state)
        await transaction
          .updateTable('trigger_states')
          .set({ state })
          .where('pipeline', '=', pipeline)
          .where('name', '=', trigger)
          .execute();
      return next;
    });
  }

  async deleteTrigger(pipeline: string, trigger: string): Promise<void> {
    for (const table of ['trigger_states', 'trigger_secrets'] as const)
      await this.#db.deleteFrom(table).where('pipeline', '=', pipeline).where('name', '=', trigger).execute();
  }

  async listTriggers(): Promise<{ pipeline: string; trigger: string }[]> {
    const rows = await this.#db.selectFrom('trigger_states').select(['pipeline', 'name']).orderBy('pipeline').orderBy('name').execute();
    return rows.map(({ pipeline, name }) => ({ pipeline, trigger: name }));
  }

  async saveTriggerSecret(pipeline: string, trigger: string, secret: string): Promise<void> {
    await this.#db
      .insertInto('trigger_secrets')
      .values({ pipeline, name: trigger, secret })
      .onConflict((conflict) => conflict.columns(['pipeline', 'name']).doUpdateSet({ secret }))
      .execute();
  }

  async readTriggerSecret(pipeline: string, trigger: string): Promise<string | undefined> {
    const row = await this.#db
      .selectFrom('trigger_secrets')
      .select('secret')
      .where('pipeline', '=', pipeline)
      .where('name', '=', trigger)
      .executeTakeFirst();
    return row?.secret;
  }

  async recordDelivery(signature: string, nowIso: string, forgetBeforeIso: string): Promise<boolean> {
    await this.#db.deleteFrom('webhook_deliveries').where('at', '<', forgetBeforeIso).execute();
    const row = await this.#db
      .insertInto('webhook_deliveries')
      .values({ signature, at: nowIso })
      .onConflict((conflict) => conflict.column('signature').doNothing())
      .returning('signature')
      .executeTakeFirst();
    return row !== undefined;
  }
}

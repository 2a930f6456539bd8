import type { Kysely } from 'kysely';
import type { StepResult, StepResultStore } from '../../ports/store.ts';
import type { Database } from './schema.ts';

export class SqlStepResults implements StepResultStore {
  readonly #db: Kysely<Database>;

  constructor(db: Kysely<Database>) {
    this.#db = db;
  }

  async saveStepResult({ key, ...result }: StepResult): Promise<void> {
    await this.#db
      .insertInto('step_results')
      .values({ key, ...result })
      .onConflict((conflict) => conflict.column('key').doUpdateSet(result))
      .execute();
  }

  async findStepResult(key: string): Promise<StepResult | undefined> {
    return this.#db.selectFrom('step_results').selectAll().where('key', '=', key).executeTakeFirst();
  }
}

import type { Kysely } from 'kysely';
import type { CredentialStore, LeaseStore } from '../../ports/store.ts';
import { normalizeTime } from './rows.ts';
import type { Database } from './schema.ts';

export class SqlCredentials implements CredentialStore {
  readonly #db: Kysely<Database>;

  constructor(db: Kysely<Database>) {
    this.#db = db;
  }

  async saveLoginCode(code: { codeSha256: string; user: string; expiresAt: string }): Promise<void> {
    const values = { code_sha256: code.codeSha256, user_name: code.user, expires_at: normalizeTime(code.expiresAt) };
    await this.#db.insertInto('login_codes').values(values).execute();
  }

  async takeLoginCode(codeSha256: string, nowIso: string): Promise<{ user: string } | undefined> {
    const row = await this.#db.deleteFrom('login_codes').where('code_sha256', '=', codeSha256).returningAll().executeTakeFirst();
    return row === undefined || row.expires_at <= normalizeTime(nowIso) ? undefined : { user: row.user_name };
  }

  async saveSession(session: { idSha256: string; user: string; expiresAt: string }): Promise<void> {
    const values = { user_name: session.user, expires_at: normalizeTime(session.expiresAt) };
    await this.#db
      .insertInto('sessions')
      .values({ id_sha256: session.idSha256, ...values })
      .onConflict((conflict) => conflict.column('id_sha256').doUpdateSet(values))
      .execute();
  }

  async findSession(idSha256: string, nowIso: string): Promise<{ user: string } | undefined> {
    const row = await this.#db
      .selectFrom('sessions')
      .select('user_name')
      .where('id_sha256', '=', idSha256)
      .where('expires_at', '>', normalizeTime(nowIso))
      .executeTakeFirst();
    return row === undefined ? undefined : { user: row.user_name };
  }

  async deleteSession(idSha256: string): Promise<void> {
    await this.#db.deleteFrom('sessions').where('id_sha256', '=', idSha256).execute();
  }
}

export class SqlLeases implements LeaseStore {
  readonly #db: Kysely<Database>;

  constructor(db: Kysely<Database>) {
    this.#db = db;
  }

  async acquireLease(name: string, owner: string, nowIso: string, untilIso: string): Promise<boolean> {
    const values = { owner, until_at: normalizeTime(untilIso) };
    const row = await this.#db
      .insertInto('leases')
      .values({ name, ...values })
      .onConflict((conflict) =>
        conflict
          .column('name')
          .doUpdateSet(values)
          .where((eb) => eb.or([eb('leases.owner', '=', owner), eb('leases.until_at', '<=', normalizeTime(nowIso))])),
      )
      .returning('name')
      .executeTakeFirst();
    return row !== undefined;
  }

  async releaseLease(name: string, owner: string): Promise<void> {
    await this.#db.deleteFrom('leases').where('name', '=', name).where('owner', '=', owner).execute();
  }
}

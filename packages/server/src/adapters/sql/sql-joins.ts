import { AppError, labelsSchema } from '@selvedge/contract';
import type { Kysely, Selectable, Transaction } from 'kysely';
import * as z from 'zod';
import type { Join, JoinStore, JoinToken } from '../../ports/join-store.ts';
import type { DialectCapabilities } from './dialect-capabilities.ts';
import { normalizeTime, parseColumn } from './rows.ts';
import type { Database } from './schema.ts';

const stateSchema = z.enum(['waiting', 'approved', 'rejected']);
type JoinRow = Selectable<Database['joins']> & { device: string | null };

export class SqlJoins implements JoinStore {
  readonly #db: Kysely<Database>;
  readonly #dialect: DialectCapabilities;

  constructor(db: Kysely<Database>, dialect: DialectCapabilities) {
    this.#db = db;
    this.#dialect = dialect;
  }

  async saveToken(token: JoinToken): Promise<void> {
    await this.#db
      .insertInto('join_tokens')
      .values({
        secret_sha256: token.secretSha256,
        created_at: normalizeTime(token.createdAt),
        expires_at: normalizeTime(token.expiresAt),
        uses: token.uses,
        uses_left: token.uses,
        labels: JSON.stringify(token.labels),
        needs_approval: token.needsApproval ? 1 : 0,
        ca_sha256: token.caSha256,
      })
      .execute();
  }

  async listTokens(nowIso: string): Promise<(JoinToken & { usesLeft: number })[]> {
    const rows = await this.#db
      .selectFrom('join_tokens')
      .selectAll()
      .where('expires_at', '>', normalizeTime(nowIso))
      .orderBy('created_at')
      .orderBy('secret_sha256')
      .execute();
    return rows.map((row) => ({
      secretSha256: row.secret_sha256,
      createdAt: row.created_at ?? '',
      expiresAt: row.expires_at,
      uses: row.uses ?? row.uses_left,
      usesLeft: row.uses_left,
      labels: labelsOf(row.labels, row.secret_sha256),
      needsApproval: row.needs_approval === 1,
      caSha256: row.ca_sha256 ?? '',
    }));
  }

  async deleteToken(secretSha256: string): Promise<boolean> {
    return await this.#db.transaction().execute(async (transaction) => {
      await forget(transaction, (query) => query.where('secret_sha256', '=', secretSha256).where('state', '=', 'waiting'));
      const gone = await transaction.deleteFrom('join_tokens').where('secret_sha256', '=', secretSha256).executeTakeFirst();
      return gone.numDeletedRows > 0n;
    });
  }

  async begin(request: Parameters<JoinStore['begin']>[0]): Promise<Join | undefined> {
    return await this.#db.transaction().execute(async (transaction) => {
      const now = normalizeTime(request.requestedAt);
      const known = await selectJoins(transaction).where('joins.id', '=', request.id).executeTakeFirst();
      if (known !== undefined && known.secret_sha256 === request.secretSha256 && known.expires_at > now) return joinOf(known);
      const token = await transaction
        .updateTable('join_tokens')
        .set((eb) => ({ uses_left: eb('uses_left', '-', 1) }))
        .where('secret_sha256', '=', request.secretSha256)
        .where('uses_left', '>', 0)
        .where('expires_at', '>', now)
        .returning(['labels', 'needs_approval'])
        .executeTakeFirst();
      if (token === undefined) return undefined;
      const waits = token.needs_approval === 1;
      if (waits) await refuseTooMany(transaction, now, request.maxWaiting);
      const values = {
        key_sha256: request.keySha256,
        secret_sha256: request.secretSha256,
        state: waits ? ('waiting' as const) : ('approved' as const),
        labels: JSON.stringify({ ...request.labels, ...labelsOf(token.labels, request.secretSha256) }),
        address: request.address,
        requested_at: now,
        expires_at: normalizeTime(request.expiresAt),
      };
      await transaction.deleteFrom('join_names').where('join_id', '=', request.id).execute();
      const row = await transaction
        .insertInto('joins')
        .values({ id: request.id, ...values })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
        .returningAll()
        .executeTakeFirstOrThrow();
      return joinOf({ ...row, device: null });
    });
  }

  async claimName(id: string, device: string, nowIso: string): Promise<boolean> {
    return await this.#db.transaction().execute(async (transaction) => {
      const now = normalizeTime(nowIso);
      const expired = transaction.selectFrom('joins').select('id').where('expires_at', '<=', now);
      await transaction.deleteFrom('join_names').where('device', '=', device).where('join_id', 'in', expired).execute();
      await transaction.deleteFrom('join_names').where('join_id', '=', id).where('device', '!=', device).execute();
      const row = await transaction
        .insertInto('join_names')
        .values({ device, join_id: id })
        // Writes what is there, so that the owner is returned.
        .onConflict((conflict) => conflict.column('device').doUpdateSet((eb) => ({ device: eb.ref('join_names.device') })))
        .returning('join_id')
        .executeTakeFirstOrThrow();
      return row.join_id === id;
    });
  }

  async cancel(id: string): Promise<void> {
    await this.#db.transaction().execute(async (transaction) => {
      await transaction.deleteFrom('join_names').where('join_id', '=', id).execute();
      const gone = await transaction.deleteFrom('joins').where('id', '=', id).returning('secret_sha256').executeTakeFirst();
      if (gone === undefined) return;
      await transaction
        .updateTable('join_tokens')
        .set((eb) => ({ uses_left: eb('uses_left', '+', 1) }))
        .where('secret_sha256', '=', gone.secret_sha256)
        .execute();
    });
  }

  async listUndone(nowIso: string): Promise<Join[]> {
    const rows = await selectJoins(this.#db)
      .where('state', '!=', 'rejected')
      .where('expires_at', '>', normalizeTime(nowIso))
      .orderBy('requested_at')
      .orderBy('joins.id')
      .execute();
    return rows.map(joinOf);
  }

  async decide(device: string, state: 'approved' | 'rejected', nowIso: string): Promise<Join | undefined> {
    return await this.#db.transaction().execute(async (transaction) => {
      const select = selectJoins(transaction)
        .where('join_names.device', '=', device)
        .where('state', '=', 'waiting')
        .where('expires_at', '>', normalizeTime(nowIso));
      const row = await (this.#dialect.locksRows ? select.forUpdate('joins') : select).executeTakeFirst();
      if (row === undefined) return undefined;
      await transaction.updateTable('joins').set({ state }).where('id', '=', row.id).execute();
      if (state === 'rejected') await transaction.deleteFrom('join_names').where('device', '=', device).execute();
      return joinOf({ ...row, state });
    });
  }

  async forgetDevice(device: string): Promise<void> {
    await this.#db.transaction().execute(async (transaction) => {
      const ids = transaction.selectFrom('join_names').select('join_id').where('device', '=', device);
      await transaction.deleteFrom('joins').where('id', 'in', ids).execute();
      await transaction.deleteFrom('join_names').where('device', '=', device).execute();
    });
  }

  async prune(nowIso: string): Promise<void> {
    const now = normalizeTime(nowIso);
    await this.#db.transaction().execute(async (transaction) => {
      await forget(transaction, (query) => query.where('expires_at', '<=', now));
      await transaction.deleteFrom('join_tokens').where('expires_at', '<=', now).execute();
    });
  }
}

function selectJoins(db: Kysely<Database> | Transaction<Database>) {
  return db.selectFrom('joins').leftJoin('join_names', 'join_names.join_id', 'joins.id').selectAll('joins').select('join_names.device');
}

type JoinIds = ReturnType<typeof joinIds>;
function joinIds(transaction: Transaction<Database>) {
  return transaction.selectFrom('joins').select('id');
}

/** Removes joins and the names that are kept for them. */
async function forget(transaction: Transaction<Database>, which: (query: JoinIds) => JoinIds): Promise<void> {
  await transaction
    .deleteFrom('join_names')
    .where('join_id', 'in', which(joinIds(transaction)))
    .execute();
  await transaction
    .deleteFrom('joins')
    .where('id', 'in', which(joinIds(transaction)))
    .execute();
}

async function refuseTooMany(transaction: Transaction<Database>, now: string, max: number): Promise<void> {
  const { count } = await transaction
    .selectFrom('joins')
    .select((eb) => eb.fn.countAll().as('count'))
    .where('state', '=', 'waiting')
    .where('expires_at', '>', now)
    .executeTakeFirstOrThrow();
  if (Number(count) < max) return;
  const hint = 'An operator has to decide about them: "selvedge device pending".';
  throw new AppError('RATE_LIMITED', { message: `${max} devices wait for approval already.`, hint });
}

function labelsOf(text: string, secretSha256: string): Record<string, string> {
  return parseColumn(labelsSchema, text, `join token ${secretSha256}`);
}

function joinOf(row: JoinRow): Join {
  return {
    id: row.id,
    keySha256: row.key_sha256,
    secretSha256: row.secret_sha256,
    device: row.device,
    state: stateSchema.parse(row.state),
    labels: labelsOf(row.labels, row.secret_sha256),
    address: row.address,
    requestedAt: row.requested_at,
    expiresAt: row.expires_at,
  };
}

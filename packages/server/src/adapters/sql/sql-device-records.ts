import { DEVICE_CHANNEL_VERSION, type DesiredState, desiredStateSchema, toldBudgetsSchema } from '@selvedge/contract';
import type { Kysely, Transaction } from 'kysely';
import type { DesiredContent, DeviceRecordStore, PendingCertificate } from '../../ports/store.ts';
import type { DialectCapabilities } from './dialect-capabilities.ts';
import { parseColumn } from './rows.ts';
import type { Database } from './schema.ts';

const ROWS_PER_STATEMENT = 500;

export class SqlDeviceRecords implements DeviceRecordStore {
  readonly #db: Kysely<Database>;
  readonly #dialect: DialectCapabilities;

  constructor(db: Kysely<Database>, dialect: DialectCapabilities) {
    this.#db = db;
    this.#dialect = dialect;
  }

  async savePendingCertificate(device: string, certificate: PendingCertificate): Promise<void> {
    const values = {
      device_uid: certificate.deviceUid,
      serial: certificate.serial,
      fingerprint256: certificate.fingerprint256,
      not_after: certificate.notAfter,
      issuer_sha256: certificate.issuerSha256 ?? null,
      key_sha256: certificate.keySha256 ?? null,
    };
    await this.#db
      .insertInto('pending_certificates')
      .values({ device, ...values })
      .onConflict((conflict) => conflict.column('device').doUpdateSet(values))
      .execute();
  }

  async readPendingCertificate(device: string): Promise<PendingCertificate | undefined> {
    const row = await this.#db.selectFrom('pending_certificates').selectAll().where('device', '=', device).executeTakeFirst();
    if (row === undefined) return undefined;
    return {
      deviceUid: row.device_uid,
      serial: row.serial,
      fingerprint256: row.fingerprint256,
      notAfter: row.not_after,
      ...(row.issuer_sha256 === null ? {} : { issuerSha256: row.issuer_sha256 }),
      ...(row.key_sha256 === null ? {} : { keySha256: row.key_sha256 }),
    };
  }

  async deletePendingCertificate(device: string): Promise<void> {
    await this.#db.deleteFrom('pending_certificates').where('device', '=', device).execute();
  }

  async listDesiredStates(): Promise<Map<string, DesiredState>> {
    const rows = await this.#db.selectFrom('desired_states').selectAll().orderBy('device').execute();
    return new Map(rows.map((row) => [row.device, desiredState(row)]));
  }

  async readDesiredState(device: string): Promise<DesiredState | undefined> {
    const row = await this.#db.selectFrom('desired_states').selectAll().where('device', '=', device).executeTakeFirst();
    return row === undefined ? undefined : desiredState(row);
  }

  async replaceDesiredStates(changes: ReadonlyMap<string, DesiredContent>): Promise<Map<string, DesiredState>> {
    const entries = [...changes];
    const states = new Map<string, DesiredState>();
    await this.#db.transaction().execute(async (transaction) => {
      states.clear();
      for (let start = 0; start < entries.length; start += ROWS_PER_STATEMENT)
        await this.#replace(transaction, new Map(entries.slice(start, start + ROWS_PER_STATEMENT)), states);
    });
    return states;
  }

  async #replace(
    transaction: Transaction<Database>,
    changes: ReadonlyMap<string, DesiredContent>,
    states: Map<string, DesiredState>,
  ): Promise<void> {
    const select = transaction
      .selectFrom('desired_states')
      .selectAll()
      .where('device', 'in', [...changes.keys()])
      .orderBy('device');
    const rows = await (this.#dialect.locksRows ? select.forUpdate() : select).execute();
    const known = new Map(rows.map((row) => [row.device, row]));
    const changed: Database['desired_states'][] = [];
    for (const [device, { workloads, budgets }] of changes) {
      const before = known.get(device);
      const text = JSON.stringify(workloads);
      const budgetsText = budgets === undefined ? null : JSON.stringify(budgets);
      const isSame = before?.workloads === text && before.budgets === budgetsText;
      const revision = Number(before?.revision ?? 0) + (isSame ? 0 : 1);
      if (!isSame) changed.push({ device, revision, workloads: text, budgets: budgetsText });
      const told = budgets === undefined ? {} : { budgets };
      states.set(device, { v: DEVICE_CHANNEL_VERSION, revision, workloads: [...workloads], ...told });
    }
    if (changed.length === 0) return;
    await transaction
      .insertInto('desired_states')
      .values(changed)
      .onConflict((conflict) =>
        conflict.column('device').doUpdateSet(({ ref }) => ({
          revision: ref('excluded.revision'),
          workloads: ref('excluded.workloads'),
          budgets: ref('excluded.budgets'),
        })),
      )
      .execute();
  }
}

function desiredState(row: Database['desired_states']): DesiredState {
  return {
    v: DEVICE_CHANNEL_VERSION,
    revision: Number(row.revision),
    workloads: parseColumn(desiredStateSchema.shape.workloads, row.workloads, `desired state of ${row.device}`),
    ...(row.budgets === null ? {} : { budgets: parseColumn(toldBudgetsSchema, row.budgets, `budgets of ${row.device}`) }),
  };
}

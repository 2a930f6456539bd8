import { DEVICE_CHANNEL_VERSION, type DesiredState, type DesiredWorkload, desiredStateSchema } from '@selvedge/contract';
import type { Kysely, Transaction } from 'kysely';
import type { DeviceRecordStore, PendingCertificate } from '../../ports/store.ts';
import type { DialectCapabilities } from './dialect-capabilities.ts';
import { parseColumn } from './rows.ts';
import type { Database } from './schema.ts';

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

  async replaceDesiredWorkloads(changes: ReadonlyMap<string, readonly DesiredWorkload[]>): Promise<Map<string, DesiredState>> {
    const states = new Map<string, DesiredState>();
    await this.#db.transaction().execute(async (transaction) => {
      for (const [device, workloads] of changes) states.set(device, await this.#replaceOne(transaction, device, workloads));
    });
    return states;
  }

  async #replaceOne(transaction: Transaction<Database>, device: string, workloads: readonly DesiredWorkload[]): Promise<DesiredState> {
    const text = JSON.stringify(workloads);
    const select = transaction.selectFrom('desired_states').selectAll().where('device', '=', device);
    const row = await (this.#dialect.locksRows ? select.forUpdate() : select).executeTakeFirst();
    if (row !== undefined && row.workloads === text) return desiredState(row);
    const revision = row === undefined ? 1 : Number(row.revision) + 1;
    const written = await transaction
      .insertInto('desired_states')
      .values({ device, revision, workloads: text })
      .onConflict((conflict) => conflict.column('device').doUpdateSet({ revision, workloads: text }))
      .returningAll()
      .executeTakeFirstOrThrow();
    return desiredState(written);
  }
}

function desiredState(row: Database['desired_states']): DesiredState {
  return {
    v: DEVICE_CHANNEL_VERSION,
    revision: Number(row.revision),
    workloads: parseColumn(desiredStateSchema.shape.workloads, row.workloads, `desired state of ${row.device}`),
  };
}

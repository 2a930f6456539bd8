import type { Kysely } from 'kysely';
import type { AnnounceChange, Store } from '../../ports/store.ts';
import type { DialectCapabilities } from './dialect-capabilities.ts';
import type { Database } from './schema.ts';
import { SqlCredentials, SqlLeases } from './sql-credentials.ts';
import { SqlDeviceRecords } from './sql-device-records.ts';
import { SqlJoins } from './sql-joins.ts';
import { SqlMlflow } from './sql-mlflow.ts';
import { SqlResources } from './sql-resources.ts';
import { SqlSeries } from './sql-series.ts';
import { SqlStepResults } from './sql-step-results.ts';
import { SqlTriggers } from './sql-triggers.ts';

/** The Store on a migrated database of either dialect; `close` ends the connection. */
export function createSqlStore(db: Kysely<Database>, dialect: DialectCapabilities, announce: AnnounceChange): Store {
  const resources = new SqlResources(db, dialect, announce);
  const series = new SqlSeries(db, dialect);
  const credentials = new SqlCredentials(db);
  const leases = new SqlLeases(db);
  const devices = new SqlDeviceRecords(db, dialect);
  const results = new SqlStepResults(db);
  const triggers = new SqlTriggers(db, dialect);
  return {
    get: (kind, name) => resources.get(kind, name),
    list: (kind, query) => resources.list(kind, query),
    listStamps: (kind) => resources.listStamps(kind),
    create: (kind, draft) => resources.create(kind, draft),
    update: (kind, name, change) => resources.update(kind, name, change),
    delete: (kind, name) => resources.delete(kind, name),
    appendMetricPoints: (run, points) => series.appendMetricPoints(run, points),
    readMetricPoints: (run, options) => series.readMetricPoints(run, options),
    appendTelemetry: (device, batch) => series.appendTelemetry(device, batch),
    readTakenNumbers: (device, max) => series.readTakenNumbers(device, max),
    readTelemetry: (device, sinceIso) => series.readTelemetry(device, sinceIso),
    readResults: (device, range) => series.readResults(device, range),
    pruneTelemetry: (beforeIso, summariesBeforeIso) => series.pruneTelemetry(beforeIso, summariesBeforeIso),
    saveLoginCode: (code) => credentials.saveLoginCode(code),
    takeLoginCode: (code, nowIso) => credentials.takeLoginCode(code, nowIso),
    saveSession: (session) => credentials.saveSession(session),
    findSession: (id, nowIso) => credentials.findSession(id, nowIso),
    deleteSession: (id) => credentials.deleteSession(id),
    savePendingCertificate: (device, certificate) => devices.savePendingCertificate(device, certificate),
    readPendingCertificate: (device) => devices.readPendingCertificate(device),
    deletePendingCertificate: (device) => devices.deletePendingCertificate(device),
    listDesiredStates: () => devices.listDesiredStates(),
    readDesiredState: (device) => devices.readDesiredState(device),
    replaceDesiredStates: (changes) => devices.replaceDesiredStates(changes),
    acquireLease: (name, owner, nowIso, untilIso) => leases.acquireLease(name, owner, nowIso, untilIso),
    releaseLease: (name, owner) => leases.releaseLease(name, owner),
    saveStepResult: (result) => results.saveStepResult(result),
    findStepResult: (key) => results.findStepResult(key),
    readTriggerState: (pipeline, trigger) => triggers.readTriggerState(pipeline, trigger),
    updateTriggerState: (pipeline, trigger, change) => triggers.updateTriggerState(pipeline, trigger, change),
    deleteTrigger: (pipeline, trigger) => triggers.deleteTrigger(pipeline, trigger),
    listTriggers: () => triggers.listTriggers(),
    saveTriggerSecret: (pipeline, trigger, secret) => triggers.saveTriggerSecret(pipeline, trigger, secret),
    readTriggerSecret: (pipeline, trigger) => triggers.readTriggerSecret(pipeline, trigger),
    recordDelivery: (signature, nowIso, forgetBeforeIso) => triggers.recordDelivery(signature, nowIso, forgetBeforeIso),
    joins: new SqlJoins(db, dialect),
    mlflow: new SqlMlflow(db, dialect),
    close: () => db.destroy(),
  };
}

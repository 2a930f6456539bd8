import type { X509Certificate } from 'node:crypto';
import type { Readable } from 'node:stream';
import { AppError, type Bundle, type ImportedResults, MAX_RESULTS_BYTES, type ResultsStatement } from '@selvedge/contract';
import { type Logger, readBounded } from '@selvedge/runtime';
import { openResults } from '@selvedge/runtime/bundle';
import { withReturned } from '../domain/bundle-status.ts';
import type { DeviceIdentity, PresentedCertificate } from '../domain/device-identity.ts';
import type { Store } from '../ports/store.ts';
import { draftOf } from './draft-of.ts';

export interface ResultsImportOptions {
  store: Store;
  /** What a certificate is worth that came in a file. */
  judge: (certificate: X509Certificate) => PresentedCertificate;
  /** Whose it is. @throws AppError UNAUTHENTICATED, DEVICE_REVOKED. */
  identify: (certificate: PresentedCertificate) => Promise<DeviceIdentity>;
  /** Takes over what the device has said. */
  take: (device: string, results: ResultsStatement) => Promise<ImportedResults['state']>;
  log: Logger;
  clock: () => Date;
}

/** What devices say on a stick. Bringing the same file again changes nothing. */
export class ResultsImport {
  readonly #options: ResultsImportOptions;

  constructor(options: ResultsImportOptions) {
    this.#options = options;
  }

  /**
   * @param body - a file of results.
   * @throws AppError INPUT_INVALID, PAYLOAD_TOO_LARGE, SIGNATURE_INVALID, UNAUTHENTICATED (it is not the device's certificate
   *   now), DEVICE_REVOKED, BUNDLE_REVOKED (user).
   */
  async import(body: Readable, by: string): Promise<ImportedResults> {
    const { store, judge, identify, take, log, clock } = this.#options;
    const bytes = await readBounded(body, MAX_RESULTS_BYTES, `Results may have ${MAX_RESULTS_BYTES} bytes.`);
    const { statement, certificate } = openResults(bytes);
    const { name, uid } = await identify(judge(certificate));
    if (name !== statement.device)
      throw new AppError('SIGNATURE_INVALID', { message: `Device "${name}" has signed results of "${statement.device}".` });
    const bundle = await this.#bundleOf(statement);
    const state = await take(name, statement);
    const samples = statement.telemetry.reduce((sum, batch) => sum + batch.samples.length, 0);
    if (bundle?.spec.devices.some((one) => one.device === name && one.uid === uid) === true) {
      await store.update('Bundle', bundle.metadata.name, (current) => {
        const known = current.status.devices.find((one) => one.device === name);
        if (known?.state === 'returned' && state !== 'taken') return undefined;
        return draftOf(current, { status: withReturned(current.status, name, clock().toISOString()) });
      });
    }
    log.info('results imported', { device: name, by, sequence: statement.sequence, state, samples });
    return {
      device: name,
      bundle: statement.bundle?.id ?? null,
      state,
      samples,
      serving: (statement.reported?.workloads ?? []).map((one) => ({ workload: one.name, model: one.model, version: one.servingVersion })),
    };
  }

  async #bundleOf({ bundle, device }: ResultsStatement): Promise<Bundle | undefined> {
    const found = bundle === null ? undefined : await this.#options.store.get('Bundle', bundle.id);
    const revoked = found?.status.revoked ?? null;
    if (found === undefined || revoked === null) return found;
    throw new AppError('BUNDLE_REVOKED', {
      message: `Device "${device}" has taken bundle "${found.metadata.name}", which ${revoked.by} revoked at ${revoked.at}.`,
      hint: 'Bring the device a new bundle: its results after that are taken.',
    });
  }
}

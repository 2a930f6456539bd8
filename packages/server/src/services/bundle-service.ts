import { Readable } from 'node:stream';
import {
  AppError,
  type Bundle,
  type BundleStatement,
  bundleEnvelopeSchema,
  type bundleRequestSchema,
  bundleStatementSchema,
  DEFAULT_BUNDLE_EXPIRY_S,
  type DesiredState,
  type Device,
  MAX_BUNDLE_DEVICES,
  MAX_BUNDLE_STATEMENT_BYTES,
  MAX_TAKEN_RANGES,
} from '@selvedge/contract';
import { type Logger, readBounded } from '@selvedge/runtime';
import { bundleBytes, signBundle, writeBundle } from '@selvedge/runtime/bundle';
import type * as z from 'zod';
import { newBundleStatus, removedDevices, revocations, withVoid } from '../domain/bundle-status.ts';
import type { BlobStore } from '../ports/blob-store.ts';
import type { Store } from '../ports/store.ts';
import { chooseDevices } from './choose-devices.ts';
import type { DeviceContent } from './device-content.ts';
import { draftOf } from './draft-of.ts';
import type { FleetView } from './fleet-view.ts';
import { nameByTime } from './name-by-time.ts';
import type { PackageTrust } from './package-builder.ts';
import { readAll } from './read-all.ts';

export type BundleRequest = z.output<typeof bundleRequestSchema> & {
  /** Who asks. */
  by: string;
};

export interface BundleServiceOptions {
  store: Store;
  blobs: BlobStore;
  view: FleetView;
  content: DeviceContent;
  trust: PackageTrust;
  /** sha256 of the authority that join tokens carry. */
  authoritySha256: () => string;
  /** Returns when what devices are told follows from everything that was written before. */
  settle: () => Promise<void>;
  log: Logger;
  clock: () => Date;
}

const MAX_TARGET_LENGTH = 2048;
/** Of what a device is told that the server has. A spool that is sent in order has one range. */
const MAX_TAKEN = { spools: 2, ranges: MAX_TAKEN_RANGES };

/**
 * Bundles: what devices are to run, and its content, for a stick. A bundle is signed and recorded when it is asked for; its file
 * is put together from the record each time that it is downloaded, and is the same each time.
 */
export class BundleService {
  readonly #options: BundleServiceOptions;

  constructor(options: BundleServiceOptions) {
    this.#options = options;
  }

  /** @throws AppError NOT_FOUND, INPUT_INVALID (user); CONFLICT (user) when something that a device is to have is gone. */
  async create(request: BundleRequest): Promise<Bundle> {
    const { store, view, trust, blobs, clock, log } = this.#options;
    await this.#options.settle();
    const names = (await chooseDevices(view, store, request)).sort();
    if (names.length > MAX_BUNDLE_DEVICES)
      throw new AppError('INPUT_INVALID', {
        message: `A bundle may be for ${MAX_BUNDLE_DEVICES} devices, and these are ${names.length}.`,
        hint: 'Make several, by labels or groups.',
      });
    const now = clock();
    const id = nameByTime('bundle', now);
    const chosen = await this.#describe(names);
    const statement: BundleStatement = {
      formatVersion: 1,
      id,
      authoritySha256: this.#options.authoritySha256(),
      createdAt: now.toISOString(),
      expiresAt: new Date(now.getTime() + (request.expiresInS ?? DEFAULT_BUNDLE_EXPIRY_S) * 1000).toISOString(),
      devices: chosen.map(({ uid: _, ...device }) => device),
      content: await this.#sizesOf(new Set(chosen.flatMap(({ content }) => content))),
      revoked: revocations(await readAll(store, 'Bundle'), (name) => view.devices.get(name), now.toISOString()),
    };
    const envelope = signBundle(statement, await trust.signer());
    if (envelope.length > MAX_BUNDLE_STATEMENT_BYTES)
      throw new AppError('PAYLOAD_TOO_LARGE', { message: 'These are too many devices for one bundle.', hint: 'Make several.' });
    const { sha256, sizeBytes } = await blobs.put(Readable.from([envelope]));
    const bundle = await store.create('Bundle', {
      name: id,
      labels: {},
      annotations: {},
      spec: {
        target: (request.selector ?? names.join(' ')).slice(0, MAX_TARGET_LENGTH),
        by: request.by,
        expiresAt: statement.expiresAt,
        devices: chosen.map(({ name, uid, certificates, desired }) => ({ device: name, uid, certificates, revision: desired.revision })),
        statement: { sha256, sizeBytes },
        files: statement.content.length,
        sizeBytes: bundleBytes(envelope.length, statement.content),
      },
      status: newBundleStatus(names),
    });
    log.info('bundle made', { bundle: id, by: request.by, devices: names.length, sizeBytes: bundle.spec.sizeBytes });
    return bundle;
  }

  /**
   * The bundle's file. The Bundle says how large it is.
   * @throws AppError NOT_FOUND, BUNDLE_REVOKED, BUNDLE_EXPIRED (user), CONFLICT (user) when some of its content is gone.
   */
  async open(name: string): Promise<{ bundle: Bundle; file: AsyncIterable<Uint8Array> }> {
    const { blobs, log } = this.#options;
    const bundle = await this.#usable(name);
    const { content, envelope } = await this.#statementOf(bundle);
    for (const { sha256 } of content) if ((await blobs.stat(sha256)) === undefined) throw contentGone(sha256);
    const open = async (sha256: string) => {
      const stream = await blobs.open(sha256);
      if (stream === undefined) throw contentGone(sha256);
      return stream;
    };
    log.info('bundle downloaded', { bundle: name });
    return { bundle, file: writeBundle(envelope, content, open) };
  }

  /** Nothing changes when it is revoked already. @throws AppError NOT_FOUND. */
  async revoke(name: string, by: string): Promise<Bundle> {
    const { store, clock, log } = this.#options;
    const at = clock().toISOString();
    const bundle = await store.update('Bundle', name, (current) =>
      current.status.revoked === null ? draftOf(current, { status: { ...current.status, revoked: { at, by } } }) : undefined,
    );
    if (bundle === undefined) throw noBundle(name);
    log.info('bundle revoked', { bundle: name, by });
    return bundle;
  }

  /** The device was removed: what was made for it and has not come back is void. Whether it may be downloaded does not hang on this. */
  async voidFor(device: string, uid: string): Promise<void> {
    const { store } = this.#options;
    for (const { metadata, spec } of await readAll(store, 'Bundle')) {
      if (!spec.devices.some((one) => one.device === device && one.uid === uid)) continue;
      await store.update('Bundle', metadata.name, (current) => draftOf(current, { status: withVoid(current.status, device) }));
    }
  }

  async #usable(name: string): Promise<Bundle> {
    const { store, clock } = this.#options;
    const bundle = await store.get('Bundle', name);
    if (bundle === undefined) throw noBundle(name);
    const hint = 'Make a new one with "selvedge bundle export".';
    if (bundle.status.revoked !== null) {
      const { by, at } = bundle.status.revoked;
      throw new AppError('BUNDLE_REVOKED', { message: `Bundle "${name}" was revoked by ${by} at ${at}.`, hint });
    }
    if (bundle.spec.expiresAt <= clock().toISOString())
      throw new AppError('BUNDLE_EXPIRED', { message: `Bundle "${name}" expired at ${bundle.spec.expiresAt}.`, hint });
    const found = new Map<string, Device>();
    for (const { device } of bundle.spec.devices) {
      const one = await store.get('Device', device);
      if (one !== undefined) found.set(device, one);
    }
    const [removed] = removedDevices(bundle, (device) => found.get(device));
    if (removed !== undefined)
      throw new AppError('BUNDLE_REVOKED', { message: `Bundle "${name}" is void: device "${removed.device}" has been removed.`, hint });
    return bundle;
  }

  async #statementOf({ metadata, spec }: Bundle): Promise<{ content: BundleStatement['content']; envelope: Buffer }> {
    const stream = await this.#options.blobs.open(spec.statement.sha256);
    if (stream === undefined) throw contentGone(spec.statement.sha256);
    const envelope = await readBounded(stream, MAX_BUNDLE_STATEMENT_BYTES, `The statement of bundle "${metadata.name}" is too large.`);
    const { payload } = bundleEnvelopeSchema.parse(JSON.parse(envelope.toString('utf8')));
    const { content } = bundleStatementSchema.parse(JSON.parse(Buffer.from(payload, 'base64').toString('utf8')));
    return { content, envelope };
  }

  async #describe(names: readonly string[]): Promise<(BundleStatement['devices'][number] & { uid: string })[]> {
    const { store, content } = this.#options;
    const desired = await store.listDesiredStates();
    const contentOf = remembered((state) => content.contentOf(state));
    const found = [];
    for (const name of names) {
      const device = await store.get('Device', name);
      const state = desired.get(name);
      if (device === undefined || state === undefined)
        throw new AppError('NOT_FOUND', {
          message: `There is no device "${name}" any more.`,
          hint: '"selvedge device list" shows all devices.',
        });
      const { uid } = device.metadata;
      const pending = await store.readPendingCertificate(name);
      const certificates = new Set([device.status.certificate.fingerprint256]);
      if (pending?.deviceUid === uid) certificates.add(pending.fingerprint256);
      const taken = await store.readTakenNumbers(name, MAX_TAKEN);
      found.push({
        ...{ name, uid, certificates: [...certificates].sort(), desired: state, content: [...(await contentOf(state))].sort() },
        ...(taken.length === 0 ? {} : { taken }),
      });
    }
    return found;
  }

  async #sizesOf(digests: ReadonlySet<string>): Promise<BundleStatement['content']> {
    const content = [];
    for (const sha256 of [...digests].sort()) {
      const info = await this.#options.blobs.stat(sha256);
      if (info === undefined) throw contentGone(sha256);
      content.push({ sha256, sizeBytes: info.sizeBytes });
    }
    return content;
  }
}

/** Devices of a fleet mostly have the same workloads: what those need is looked up once. */
function remembered(look: (state: DesiredState) => Promise<Set<string>>): (state: DesiredState) => Promise<Set<string>> {
  const known = new Map<string, Set<string>>();
  return async (state) => {
    const key = JSON.stringify(state.workloads);
    const content = known.get(key) ?? (await look(state));
    known.set(key, content);
    return content;
  };
}

function noBundle(name: string): AppError {
  return new AppError('NOT_FOUND', { message: `There is no bundle "${name}".`, hint: '"selvedge bundle list" shows them.' });
}

function contentGone(sha256: string): AppError {
  return new AppError('CONFLICT', {
    message: `Content with sha256 ${sha256} is no longer on the server.`,
    hint: 'A model version or a package was removed; deploy another one and export again.',
  });
}

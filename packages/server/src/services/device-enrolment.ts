import { randomBytes } from 'node:crypto';
import {
  AppError,
  type Device,
  type deviceTokenRequestSchema,
  type deviceTokenSchema,
  formatJoinToken,
  type JoinRequest,
  type JoinResponse,
  nameSchema,
} from '@selvedge/contract';
import { type Logger, sha256Hex } from '@selvedge/runtime';
import type * as z from 'zod';
import type { DeviceIdentity, IssuedCertificate, PresentedCertificate } from '../domain/device-identity.ts';
import type { ResourceDraft, Store } from '../ports/store.ts';
import { AttemptLimit } from './attempt-limit.ts';
import { deviceDraft } from './device-draft.ts';

/** Signs what devices ask for. */
interface CertificateSigner {
  readonly caPem: string;
  /** sha256 of the authority's DER. */
  readonly caSha256: string;
  /** @throws AppError INPUT_INVALID (user) when the request is not acceptable. */
  signClient(csrPem: string, device: string): Promise<IssuedCertificate>;
}

export interface DeviceEnrolmentOptions {
  store: Store;
  signer: CertificateSigner;
  /** Under which devices reach the device port, e.g. `https://10.0.0.1:7443`. */
  url: () => string;
  log: Logger;
  clock: () => Date;
}

const DEFAULT_TTL_S = 3600;
const MAX_NAME_TRIES = 10_000;

/**
 * Who is a device: join tokens, joining, renewal, and whose a certificate is.
 *
 * One certificate per device is current: the one in its resource. A renewed one becomes current when it is first used;
 * until then both are good, so that an agent that crashed before it kept the new one is not locked out.
 */
export class DeviceEnrolment {
  readonly #options: DeviceEnrolmentOptions;
  readonly #failures: AttemptLimit;

  constructor(options: DeviceEnrolmentOptions) {
    this.#options = options;
    this.#failures = new AttemptLimit({ max: 20, windowMs: 60_000, clock: options.clock });
  }

  async createToken(request: z.output<typeof deviceTokenRequestSchema>): Promise<z.output<typeof deviceTokenSchema>> {
    const { store, signer, url, clock } = this.#options;
    const secret = randomBytes(24).toString('base64url');
    const uses = request.uses ?? 1;
    const expiresAt = new Date(clock().getTime() + (request.ttlS ?? DEFAULT_TTL_S) * 1000).toISOString();
    await store.saveJoinToken({ secretSha256: sha256Hex(secret), expiresAt, uses, labels: request.labels ?? {} });
    const token = formatJoinToken({ secret, caSha256: signer.caSha256, expiresAt });
    return { token, url: url(), expiresAt, uses, joinCommand: `selvedge agent join ${url()} --token ${token}` };
  }

  /**
   * Makes a device. A use of the token is given back when the join fails for another reason.
   *
   * @param address - host the request came from; too many wrong secrets from one are refused for a minute.
   * @throws AppError RATE_LIMITED, JOIN_TOKEN_INVALID, INPUT_INVALID (the certificate request), CONFLICT (the name is taken).
   */
  async join(request: JoinRequest, address: string): Promise<JoinResponse> {
    const { store, clock, log, signer } = this.#options;
    if (!this.#failures.allows(address))
      throw new AppError('RATE_LIMITED', { message: 'Too many attempts to join from this address.', hint: 'Wait a minute.' });
    const secretSha256 = sha256Hex(request.secret);
    const token = await store.takeJoinToken(secretSha256, clock().toISOString());
    if (token === undefined) {
      this.#failures.recordFailure(address);
      throw new AppError('JOIN_TOKEN_INVALID', {
        message: 'The join token is unknown, used up or expired.',
        hint: 'Make a new one with "selvedge device token".',
      });
    }
    try {
      const labels = { ...request.labels, ...token.labels };
      const { device, certificate } = await this.#createDevice(request.name, request.csrPem, labels);
      log.info('device joined', { device: device.metadata.name, address });
      return { device: device.metadata.name, certificatePem: certificate.pem, caPem: signer.caPem };
    } catch (error) {
      await store.returnJoinToken(secretSha256);
      throw error;
    }
  }

  /** @throws AppError UNAUTHENTICATED, DEVICE_REVOKED, INPUT_INVALID. */
  async renew(certificate: PresentedCertificate, csrPem: string): Promise<JoinResponse> {
    const { store, signer, log } = this.#options;
    const identity = await this.identify(certificate, { allowExpired: true });
    const issued = await signer.signClient(csrPem, identity.name);
    await store.savePendingCertificate(identity.name, {
      deviceUid: identity.uid,
      serial: issued.serial,
      fingerprint256: issued.fingerprint256,
      notAfter: issued.notAfter,
    });
    log.info('device certificate renewed', { device: identity.name, notAfter: issued.notAfter });
    return { device: identity.name, certificatePem: issued.pem, caPem: signer.caPem };
  }

  /**
   * Whose certificate this is. Makes a renewed certificate the current one.
   *
   * @throws AppError UNAUTHENTICATED when it is not ours, expired or replaced; DEVICE_REVOKED when the device was removed.
   */
  async identify(certificate: PresentedCertificate, options: { allowExpired?: boolean } = {}): Promise<DeviceIdentity> {
    const refuse = (message: string, hint: string) => new AppError('UNAUTHENTICATED', { message, hint });
    const name = certificate.commonName;
    if (!certificate.trusted || !nameSchema.safeParse(name).success)
      throw refuse('This server has not issued the client certificate.', 'Join with a token of this server.');
    const device = await this.#options.store.get('Device', name);
    if (device === undefined) {
      throw new AppError('DEVICE_REVOKED', { message: `Device "${name}" has been removed.`, hint: 'Join again with a new token.' });
    }
    const isCurrent = device.status.certificate.fingerprint256 === certificate.fingerprint256;
    if (!isCurrent && !(await this.#isPending(device, certificate)))
      throw refuse(`This certificate of device "${name}" has been replaced by a newer one.`, 'Remove the device and join again.');
    if (certificate.expired && options.allowExpired !== true)
      throw refuse(`The certificate of device "${name}" has expired.`, 'The agent renews it by itself when it reaches the server.');
    if (!isCurrent) await this.#promotePending(device);
    return { name, uid: device.metadata.uid };
  }

  /** @throws AppError CONFLICT when the wished name is taken. */
  async #createDevice(
    wished: string | undefined,
    csrPem: string,
    labels: Record<string, string>,
  ): Promise<{ device: Device; certificate: IssuedCertificate }> {
    const { store, signer } = this.#options;
    if (wished !== undefined) {
      if ((await store.get('Device', wished)) !== undefined) throw nameTaken(wished);
      const certificate = await signer.signClient(csrPem, wished);
      return { device: await store.create('Device', this.#draft(wished, labels, certificate)), certificate };
    }
    for (let number = 1; number <= MAX_NAME_TRIES; number += 1) {
      const name = `device-${number}`;
      if ((await store.get('Device', name)) !== undefined) continue;
      const certificate = await signer.signClient(csrPem, name);
      try {
        return { device: await store.create('Device', this.#draft(name, labels, certificate)), certificate };
      } catch (error) {
        if (!(error instanceof AppError && error.code === 'CONFLICT')) throw error; // another one took it just now
      }
    }
    throw new AppError('CONFLICT', { message: 'No free device name was found.', hint: 'Join with --name.' });
  }

  #draft(name: string, labels: Record<string, string>, { serial, fingerprint256, notAfter }: IssuedCertificate): ResourceDraft<'Device'> {
    const status: Device['status'] = {
      online: false,
      lastSeenAt: null,
      joinedAt: this.#options.clock().toISOString(),
      certificate: { serial, fingerprint256, notAfter },
      info: null,
      workloads: [],
      telemetry: null,
      conflict: null,
      observedRevision: 0,
    };
    return { name, labels, annotations: {}, spec: {}, status };
  }

  async #isPending(device: Device, certificate: PresentedCertificate): Promise<boolean> {
    const pending = await this.#options.store.readPendingCertificate(device.metadata.name);
    return pending?.fingerprint256 === certificate.fingerprint256 && pending.deviceUid === device.metadata.uid;
  }

  /** In this order a crash in between leaves the certificate both current and pending, which is harmless. */
  async #promotePending(device: Device): Promise<void> {
    const { store, log } = this.#options;
    const { name } = device.metadata;
    const pending = await store.readPendingCertificate(name);
    if (pending === undefined) return;
    const { serial, fingerprint256, notAfter } = pending;
    await store.update('Device', name, (current) =>
      current.metadata.uid === pending.deviceUid
        ? deviceDraft(current, { ...current.status, certificate: { serial, fingerprint256, notAfter } })
        : undefined,
    );
    await store.deletePendingCertificate(name);
    log.info('device uses its renewed certificate', { device: name });
  }
}

function nameTaken(name: string): AppError {
  return new AppError('CONFLICT', {
    message: `Another device is named "${name}".`,
    hint: `Choose another name, or remove that device with "selvedge device remove ${name}".`,
  });
}

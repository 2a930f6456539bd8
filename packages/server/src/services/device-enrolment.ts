import {
  AppError,
  type Device,
  type DeviceTrust,
  type JoinRequest,
  type JoinResponse,
  nameSchema,
  type OfflineJoinRequest,
} from '@selvedge/contract';
import { type Logger, sha256Hex } from '@selvedge/runtime';
import type { ClientRequest, DeviceIdentity, IssuedCertificate, PresentedCertificate } from '../domain/device-identity.ts';
import type { Join } from '../ports/join-store.ts';
import type { ResourceDraft, Store } from '../ports/store.ts';
import { AttemptLimit } from './attempt-limit.ts';
import { deviceDraft } from './device-draft.ts';
import { readAll } from './read-all.ts';

/** Signs what devices ask for. */
interface CertificateSigner {
  /** Of the server's own certificate. */
  readonly caPem: string;
  readonly trust: DeviceTrust;
  /** @throws AppError INPUT_INVALID (user) when the request is not acceptable. */
  readRequest(csrPem: string): Promise<ClientRequest>;
}

export interface DeviceEnrolmentOptions {
  store: Store;
  signer: CertificateSigner;
  log: Logger;
  clock: () => Date;
}

const MAX_NAME_TRIES = 10_000;
/** How long a join that waits for approval, or for the device to come back, is kept. */
const JOIN_KEPT_MS = 7 * 86_400_000;
const MAX_WAITING = 1000;

/**
 * Who is a device: joining, renewal, and whose a certificate is.
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

  /**
   * Makes a device, or answers again what was answered already: a join is known by the key of the device and the name it wishes, so that
   * one that was cut off on either side is repeated. The use of the token is given back when the name cannot be had.
   *
   * @param address - host the request came from; too many wrong secrets from one are refused for a minute.
   * @throws AppError RATE_LIMITED, JOIN_TOKEN_INVALID, INPUT_INVALID (the certificate request), CONFLICT (the name is taken),
   * JOIN_PENDING (an operator has to approve; to be repeated), JOIN_REJECTED.
   */
  async join(request: JoinRequest, address: string): Promise<JoinResponse> {
    const { store, clock, log, signer } = this.#options;
    if (!this.#failures.allows(address))
      throw new AppError('RATE_LIMITED', { message: 'Too many attempts to join from this address.', hint: 'Wait a minute.' });
    const asked = await signer.readRequest(request.csrPem);
    const { keySha256 } = asked;
    const join = await store.joins.begin({
      id: sha256Hex(`${keySha256} ${request.name ?? ''}`),
      keySha256,
      secretSha256: sha256Hex(request.secret),
      labels: request.labels ?? {},
      address,
      requestedAt: clock().toISOString(),
      expiresAt: new Date(clock().getTime() + JOIN_KEPT_MS).toISOString(),
      maxWaiting: MAX_WAITING,
    });
    if (join === undefined) {
      this.#failures.recordFailure(address);
      throw new AppError('JOIN_TOKEN_INVALID', {
        message: 'The join token is unknown, used up or expired.',
        hint: 'Make a new one with "selvedge device token".',
      });
    }
    if (join.state === 'rejected') {
      const hint = 'Ask whoever runs the server; another try needs a new token.';
      throw new AppError('JOIN_REJECTED', { message: 'An operator has rejected this join.', hint });
    }
    const device = join.device ?? (await this.#nameJoin(join, request.name));
    if (join.state === 'waiting') {
      throw new AppError('JOIN_PENDING', {
        message: `The join as device "${device}" waits for approval: "selvedge device approve ${device}" on the server.`,
        hint: 'Repeat the same join; it goes on by itself once an operator has approved.',
      });
    }
    const certificate = await this.#admit(join, device, asked);
    log.info('device joined', { device, address });
    return { device, certificatePem: certificate.pem, caPem: signer.caPem, trust: signer.trust };
  }

  /**
   * Makes a device of one that has asked in a file. An operator does this, so no token is asked for. The same request again gives
   * another certificate for the same key, and both are good until one is used.
   *
   * @throws AppError INPUT_INVALID (the certificate request), CONFLICT (the name is taken).
   */
  async signRequest({ csrPem, name: wished, labels = {} }: Omit<OfflineJoinRequest, 'type'>): Promise<JoinResponse> {
    const { store, signer, log, clock } = this.#options;
    const asked = await signer.readRequest(csrPem);
    const { keySha256 } = asked;
    const devices = await readAll(store, 'Device');
    const known = devices.find(({ status }) => status.certificate.keySha256 === keySha256)?.metadata.name;
    if (known !== undefined && wished !== undefined && wished !== known)
      throw new AppError('CONFLICT', { message: `The device that asks has joined already, as "${known}".` });
    const joining = await store.joins.listUndone(clock().toISOString());
    const taken = new Set([...devices.map(({ metadata }) => metadata.name), ...joining.map(({ device }) => device)]);
    const name = known ?? wished ?? freeName(taken);
    if (known === undefined && taken.has(name)) throw nameTaken(name);
    const certificate = await this.#admit({ keySha256, labels }, name, asked);
    log.info('device joined by a file', { device: name });
    return { device: name, certificatePem: certificate.pem, caPem: signer.caPem, trust: signer.trust };
  }

  /** What this device is to trust. @throws AppError UNAUTHENTICATED, DEVICE_REVOKED. */
  async trustOf(certificate: PresentedCertificate): Promise<DeviceTrust> {
    await this.identify(certificate);
    return this.#options.signer.trust;
  }

  /** @throws AppError UNAUTHENTICATED, DEVICE_REVOKED, INPUT_INVALID. */
  async renew(certificate: PresentedCertificate, csrPem: string): Promise<JoinResponse> {
    const { store, signer, log } = this.#options;
    const identity = await this.identify(certificate, { allowExpired: true });
    const issued = await (await signer.readRequest(csrPem)).sign(identity.name);
    await store.savePendingCertificate(identity.name, {
      deviceUid: identity.uid,
      serial: issued.serial,
      fingerprint256: issued.fingerprint256,
      notAfter: issued.notAfter,
      issuerSha256: issued.issuerSha256,
      keySha256: issued.keySha256,
    });
    log.info('device certificate renewed', { device: identity.name, notAfter: issued.notAfter });
    return { device: identity.name, certificatePem: issued.pem, caPem: signer.caPem, trust: signer.trust };
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

  /** Keeps a name for the join. @throws AppError CONFLICT when the wished one is taken; the join is forgotten then. */
  async #nameJoin({ id }: Join, wished: string | undefined): Promise<string> {
    const { store, clock } = this.#options;
    const isFree = async (name: string) =>
      (await store.get('Device', name)) === undefined && (await store.joins.claimName(id, name, clock().toISOString()));
    if (wished !== undefined) {
      if (await isFree(wished)) return wished;
      await store.joins.cancel(id);
      throw nameTaken(wished);
    }
    for (let number = 1; number <= MAX_NAME_TRIES; number += 1) if (await isFree(`device-${number}`)) return `device-${number}`;
    await store.joins.cancel(id);
    throw new AppError('CONFLICT', { message: 'No free device name was found.', hint: 'Join with --name.' });
  }

  /** Creates the device, or issues another certificate to the one that this join has made. @throws AppError CONFLICT. */
  async #admit({ keySha256, labels }: Pick<Join, 'keySha256' | 'labels'>, name: string, asked: ClientRequest): Promise<IssuedCertificate> {
    const { store } = this.#options;
    const certificate = await asked.sign(name);
    if ((await store.get('Device', name)) === undefined) {
      try {
        await store.create('Device', this.#draft(name, labels, certificate));
        return certificate;
      } catch (error) {
        if (!(error instanceof AppError && error.code === 'CONFLICT')) throw error; // the same join was sent twice at once
      }
    }
    const device = await store.get('Device', name);
    // A device that has another key by now is past this join.
    if (device?.status.certificate.keySha256 !== keySha256) throw nameTaken(name);
    const { serial, fingerprint256, notAfter, issuerSha256 } = certificate;
    const pending = { deviceUid: device.metadata.uid, serial, fingerprint256, notAfter, issuerSha256, keySha256 };
    await store.savePendingCertificate(name, pending);
    return certificate;
  }

  #draft(name: string, labels: Record<string, string>, { pem: _, ...certificate }: IssuedCertificate): ResourceDraft<'Device'> {
    const status: Device['status'] = {
      online: false,
      lastSeenAt: null,
      joinedAt: this.#options.clock().toISOString(),
      certificate,
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
    const { deviceUid, ...certificate } = pending;
    await store.update('Device', name, (current) =>
      current.metadata.uid === deviceUid ? deviceDraft(current, { ...current.status, certificate }) : undefined,
    );
    await store.deletePendingCertificate(name);
    log.info('device uses its renewed certificate', { device: name });
  }
}

function freeName(taken: ReadonlySet<string | null>): string {
  for (let number = 1; number <= MAX_NAME_TRIES; number += 1) if (!taken.has(`device-${number}`)) return `device-${number}`;
  throw new AppError('CONFLICT', { message: 'No free device name was found.', hint: 'Ask with --name.' });
}

function nameTaken(name: string): AppError {
  return new AppError('CONFLICT', {
    message: `Another device is named "${name}".`,
    hint: `Choose another name, or remove that device with "selvedge device remove ${name}".`,
  });
}

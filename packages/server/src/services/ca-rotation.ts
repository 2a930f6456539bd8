import { AppError, type CaStatus, type Device, type DeviceTrust } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import type { AuthorityFacts } from '../domain/device-identity.ts';
import type { Store } from '../ports/store.ts';
import type { DeviceCommands } from './device-commands.ts';

/** The authorities, as they change. */
interface ChangingAuthority {
  facts(): { current: AuthorityFacts; next: AuthorityFacts | null; retired: AuthorityFacts[] };
  readonly trust: DeviceTrust;
  beginChange(): Promise<void>;
  endChange(): Promise<void>;
}

export interface CaRotationOptions {
  authority: ChangingAuthority;
  store: Store;
  devices: () => Iterable<Device>;
  isOnline: (device: string) => boolean;
  commands: DeviceCommands;
  /** New connections are to see the authorities as they are now. */
  takeEffect: () => Promise<void>;
  log: Logger;
  clock: () => Date;
}

const TICK_MS = 5_000;
const MAX_PARALLEL = 8;
const ANSWER_MS = 120_000;
/** A device that is not as it should be after it was asked is asked again after so long. */
const RETRY_MS = 30_000;
const MAX_NAMED = 100;

/**
 * Changes the certificate authority while devices go on: the next one is made; devices that are online, or come online, are
 * asked to fetch whom to trust and to renew; when all are ready and no join token needs the present one, the next takes its
 * place, and the devices forget the old one. Level-triggered: what is to be done follows from the authority's files and from
 * what devices report, so that a restart at any moment goes on.
 */
export class CaRotation {
  readonly #options: CaRotationOptions;
  readonly #askedAt = new Map<string, number>();
  readonly #asking = new Map<string, Promise<void>>();
  readonly #abort = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;

  constructor(options: CaRotationOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#round ??= this.#look().finally(() => {
        this.#round = undefined;
      });
    }, TICK_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#abort.abort();
    await this.#round;
    await Promise.all(this.#asking.values());
  }

  async status(): Promise<CaStatus> {
    const { authority, devices, isOnline } = this.#options;
    const facts = authority.facts();
    const waiting: CaStatus['devices']['waiting'] = [];
    let total = 0;
    let ready = 0;
    for (const device of devices()) {
      total += 1;
      const reason = this.#lacks(device);
      if (reason === undefined) ready += 1;
      else if (waiting.length < MAX_NAMED) waiting.push({ device: device.metadata.name, online: isOnline(device.metadata.name), reason });
    }
    return { ...facts, devices: { total, ready, waiting }, tokens: facts.next === null ? 0 : await this.#liveTokens() };
  }

  /** Begins a change; nothing when one is under way. */
  async begin(): Promise<void> {
    const { authority, takeEffect, log } = this.#options;
    if (authority.facts().next !== null) return;
    await authority.beginChange();
    await takeEffect();
    log.warn('the certificate authority is being changed', { next: authority.facts().next?.sha256 });
  }

  /**
   * Ends the change.
   *
   * @throws AppError CONFLICT (user) when none is under way, or something is not ready and `force` is false.
   */
  async finish(force: boolean): Promise<void> {
    const { authority, takeEffect, log } = this.#options;
    const { next, devices, tokens } = await this.status();
    if (next === null)
      throw new AppError('CONFLICT', { message: 'No change of authorities is under way.', hint: 'Begin one with "selvedge ca rotate".' });
    const missing = devices.total - devices.ready;
    if (!force && missing + tokens > 0) {
      throw new AppError('CONFLICT', {
        message: `${missing} devices are not ready for the next authority, and ${tokens} join tokens would end with the present one.`,
        hint: '"selvedge ca show" names the devices. With --force they are left behind and have to join again; tokens can be revoked.',
      });
    }
    await authority.endChange();
    await takeEffect();
    log.warn('the certificate authority was changed', { current: next.sha256, leftBehind: missing });
  }

  async #look(): Promise<void> {
    const { authority, devices, isOnline, log } = this.#options;
    try {
      const { next, retired } = authority.facts();
      if (next === null && retired.length === 0) return;
      for (const device of devices()) {
        const { name } = device.metadata;
        if (this.#asking.size >= MAX_PARALLEL) break;
        if (isOnline(name) && this.#isOutdated(device) && this.#isTime(name)) this.#refresh(name);
      }
      const status = await this.status();
      if (status.next !== null && status.devices.ready === status.devices.total && status.tokens === 0) await this.finish(false);
    } catch (error) {
      log.error('the change of authorities did not get on', describeError(error));
    }
  }

  /** One that does not answer must not hold up the others. */
  #refresh(device: string): void {
    const { commands, clock, log } = this.#options;
    this.#askedAt.set(device, clock().getTime());
    const asking = commands.ask(device, { type: 'refresh-identity' }, { timeoutMs: ANSWER_MS, signal: this.#abort.signal }).then(
      () => undefined,
      (error: unknown) => log.info('a device did not take up the authorities', { device, ...describeError(error) }),
    );
    this.#asking.set(device, asking);
    void asking.finally(() => this.#asking.delete(device));
  }

  #isTime(device: string): boolean {
    const askedAt = this.#askedAt.get(device);
    return !this.#asking.has(device) && (askedAt === undefined || this.#options.clock().getTime() - askedAt > RETRY_MS);
  }

  /** What is missing before the present authority can go. */
  #lacks(device: Device): string | undefined {
    const { next } = this.#options.authority.facts();
    if (next === null) return undefined;
    const { trusts, certificate } = device.status;
    if (trusts === undefined) return 'its agent does not say whom it trusts';
    if (!trusts.includes(next.sha256)) return 'does not know the next authority yet';
    return certificate.issuerSha256 === next.sha256 ? undefined : 'has no certificate of the next authority yet';
  }

  /** Whether it trusts others than it should, or has a certificate of another than issues them now. */
  #isOutdated({ status }: Device): boolean {
    if (status.trusts === undefined) return false; // an agent that knows no such command
    const { current, next } = this.#options.authority.facts();
    const wanted = [current.sha256, ...(next === null ? [] : [next.sha256])];
    const issuer = next ?? current;
    const sameTrust = status.trusts.length === wanted.length && wanted.every((sha256) => status.trusts?.includes(sha256));
    return !sameTrust || status.certificate.issuerSha256 !== issuer.sha256;
  }

  async #liveTokens(): Promise<number> {
    const tokens = await this.#options.store.joins.listTokens(this.#options.clock().toISOString());
    return tokens.filter(({ usesLeft }) => usesLeft > 0).length;
  }
}

import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import {
  AppError,
  type Pipeline,
  type Run,
  type RunCause,
  type SettledDrift,
  settleDrift,
  type TriggerView,
  triggerKindOf,
} from '@selvedge/contract';
import { debounceMsOf, type NamedTrigger, namedTriggers } from '../domain/trigger-plan.ts';
import type { Store, TriggerState } from '../ports/store.ts';
import type { RunService } from './run-service.ts';
import { nextScheduled } from './trigger-schedule.ts';

/** How far the clock of a sender may be off, and how long a signature is remembered, so that it works once. */
const SIGNATURE_WINDOW_MS = 300_000;

export interface TriggerServiceOptions {
  store: Store;
  runs: RunService;
  clock: () => Date;
}

/** What came with a webhook. */
export interface Delivery {
  /** `sha256=` and 64 hexadecimal digits. */
  signature: string | undefined;
  /** Seconds since 1970. */
  timestamp: string | undefined;
  body: Buffer;
}

/** Triggers as people and webhooks meet them; the controller watches the rest. */
export class TriggerService {
  readonly #options: TriggerServiceOptions;

  constructor(options: TriggerServiceOptions) {
    this.#options = options;
  }

  /** All triggers, or those of one pipeline. */
  async list(pipeline?: string): Promise<TriggerView[]> {
    const views: TriggerView[] = [];
    for (let after: string | null | undefined; after !== null; ) {
      const page = await this.#options.store.list('Pipeline', after === undefined ? {} : { after });
      for (const found of page.items)
        if (pipeline === undefined || found.metadata.name === pipeline)
          for (const trigger of namedTriggers(found.spec.triggers)) views.push(await this.#view(found, trigger));
      after = page.next;
    }
    return views;
  }

  async #view({ metadata }: Pipeline, { name, spec }: NamedTrigger): Promise<TriggerView> {
    const { store, clock } = this.#options;
    const state = await store.readTriggerState(metadata.name, name);
    const kind = triggerKindOf(spec);
    const next = spec !== 'manual' && 'schedule' in spec ? nextScheduled(spec, clock().toISOString()) : null;
    return {
      pipeline: metadata.name,
      name,
      kind,
      description: describeTrigger(spec),
      nextAt: next,
      pending: state?.pending == null ? null : { dueAt: state.pending.dueAt, events: state.pending.events },
      lastFiredAt: state?.lastFiredAt ?? null,
      lastRun: state?.lastRun ?? null,
      webhookPath: kind === 'webhook' ? `/webhooks/${metadata.name}/${name}` : null,
      hasSecret: kind === 'webhook' && (await store.readTriggerSecret(metadata.name, name)) !== undefined,
    };
  }

  /**
   * Starts a run now, as the trigger would; nothing is waited for.
   * @throws AppError NOT_FOUND, and what starting a run throws.
   */
  async fire(pipeline: string, trigger: string, by: string): Promise<Run> {
    await this.#find(pipeline, trigger);
    const cause: RunCause = { type: 'trigger', by, trigger, detail: 'fired by hand', events: 1 };
    const run = await this.#options.runs.start(pipeline, {}, cause);
    const lastFiredAt = this.#options.clock().toISOString();
    await this.#options.store.updateTriggerState(pipeline, trigger, (state) => ({ ...state, lastFiredAt, lastRun: run.metadata.name }));
    return run;
  }

  /**
   * A new secret for a webhook; an earlier one is void. It is shown here and never again.
   * @throws AppError NOT_FOUND, CONFLICT (the trigger is no webhook).
   */
  async makeSecret(pipeline: string, trigger: string): Promise<string> {
    const found = await this.#find(pipeline, trigger);
    if (triggerKindOf(found.spec) !== 'webhook')
      throw new AppError('CONFLICT', { message: `Trigger "${trigger}" of pipeline "${pipeline}" is no webhook and needs no secret.` });
    const secret = randomBytes(32).toString('base64url');
    await this.#options.store.updateTriggerState(pipeline, trigger, (state) => state); // by which it is found when the trigger is gone
    await this.#options.store.saveTriggerSecret(pipeline, trigger, secret);
    return secret;
  }

  /**
   * Takes a webhook's call. A signature works once, and within five minutes of its time.
   *
   * @throws AppError UNAUTHENTICATED for everything that is not a fresh call signed with the secret, also when there is no
   * such webhook, so that nobody can ask what there is; CONFLICT for a call that was taken before.
   */
  async deliver(pipeline: string, trigger: string, delivery: Delivery): Promise<void> {
    const { store, clock } = this.#options;
    const secret = await store.readTriggerSecret(pipeline, trigger);
    const found = (await store.get('Pipeline', pipeline))?.spec.triggers;
    const named = namedTriggers(found).find((one) => one.name === trigger);
    const now = clock();
    const signature = checkSignature(secret, delivery, now);
    if (signature === undefined || named === undefined || triggerKindOf(named.spec) !== 'webhook')
      throw new AppError('UNAUTHENTICATED', {
        message: 'The call of the webhook is not signed as it must be.',
        hint: 'Send X-Selvedge-Timestamp (seconds since 1970) and X-Selvedge-Signature: sha256=HMAC-SHA256(secret, timestamp + "." + body).',
      });
    const forgetBefore = new Date(now.getTime() - 2 * SIGNATURE_WINDOW_MS).toISOString();
    if (!(await store.recordDelivery(signature, now.toISOString(), forgetBefore)))
      throw new AppError('CONFLICT', {
        message: 'This call of the webhook was taken before.',
        hint: 'Sign each call anew, with its own time.',
      });
    await this.note(pipeline, named, 'called by its webhook');
  }

  /** Something has happened that a trigger watches: it becomes a run once the trigger's debounce has passed. */
  async note(pipeline: string, trigger: NamedTrigger, detail: string): Promise<void> {
    const now = this.#options.clock();
    await this.#options.store.updateTriggerState(pipeline, trigger.name, (state) => withEvent(state, trigger, detail, now));
  }

  async #find(pipeline: string, trigger: string): Promise<NamedTrigger> {
    const found = await this.#options.store.get('Pipeline', pipeline);
    if (found === undefined)
      throw new AppError('NOT_FOUND', { message: `There is no pipeline "${pipeline}".`, hint: '"selvedge pipeline list" shows them.' });
    const triggers = namedTriggers(found.spec.triggers);
    const named = triggers.find((one) => one.name === trigger);
    if (named !== undefined) return named;
    const names = triggers.map(({ name }) => name).join(', ');
    throw new AppError('NOT_FOUND', {
      message: `Pipeline "${pipeline}" has no trigger "${trigger}".`,
      hint: names === '' ? 'Add "triggers" to the pipeline file.' : `It has: ${names}.`,
    });
  }
}

/** The state with one more event; further ones count to the first until it becomes a run. */
export function withEvent(state: TriggerState, trigger: NamedTrigger, detail: string, now: Date): TriggerState {
  const first = {
    id: randomUUID(),
    dueAt: new Date(now.getTime() + debounceMsOf(trigger.spec)).toISOString(),
    events: 0,
    by: triggerKindOf(trigger.spec),
  };
  const pending = state.pending ?? { ...first, detail };
  return { ...state, pending: { ...pending, detail, events: pending.events + 1 } };
}

/** The signature when it is right; compared in constant time. */
function checkSignature(secret: string | undefined, { signature, timestamp, body }: Delivery, now: Date): string | undefined {
  const given = /^sha256=([0-9a-f]{64})$/.exec(signature ?? '')?.[1];
  const seconds = /^\d{1,12}$/.test(timestamp ?? '') ? Number(timestamp) : undefined;
  if (secret === undefined || given === undefined || seconds === undefined) return undefined;
  if (Math.abs(now.getTime() - seconds * 1000) > SIGNATURE_WINDOW_MS) return undefined;
  const wanted = createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest();
  return timingSafeEqual(wanted, Buffer.from(given, 'hex')) ? given : undefined;
}

function describeTrigger(spec: NamedTrigger['spec']): string {
  if (spec === 'manual' || 'manual' in spec) return 'by hand';
  if ('schedule' in spec) return `${spec.schedule} (${spec.timezone ?? 'UTC'}), missed: ${spec.missed ?? 'skip'}`;
  if ('dataset' in spec) return `new version of dataset ${spec.dataset}`;
  if ('webhook' in spec) return 'signed POST';
  if ('drift' in spec) return describeDrift(settleDrift(spec.drift));
  const { name, below, above, pipeline } = spec.metric;
  return `${name}${pipeline === undefined ? '' : ` of ${pipeline}`} ${below === undefined ? `above ${above}` : `below ${below}`}`;
}

function describeDrift({ inferenceModel, selector, of, psi, windowS, reference, referenceS }: SettledDrift): string {
  const devices = selector === undefined ? '' : ` on ${selector}`;
  const against = reference === 'first' ? `the first ${spanText(referenceS)} of the version` : `the ${spanText(referenceS)} before`;
  return `drift of ${inferenceModel}${devices}: psi of ${of.join(' or ')} above ${psi}, last ${spanText(windowS)} against ${against}`;
}

function spanText(seconds: number): string {
  return seconds % 3600 === 0 ? `${seconds / 3600} h` : seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
}

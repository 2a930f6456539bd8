import { AppError, type DeviceLogEvent, type LogPage } from '@selvedge/contract';
import { unexpectedReply } from './device-commands.ts';
import type { DeviceLink } from './device-link.ts';
import type { FleetView } from './fleet-view.ts';

export interface DeviceLogQuery {
  /** Without it the agent's own log. */
  workload?: string | undefined;
  /** Lines behind this number; without it the last `tail`. */
  after?: number | undefined;
  tail?: number | undefined;
  since?: string | undefined;
  follow: boolean;
  signal: AbortSignal;
}

const ANSWER_MS = 15_000;
const FOLLOW_WAIT_MS = 20_000;
const DEFAULT_TAIL = 100;
/** How long a device may be away while somebody follows its log. */
const AWAY_MS = 24 * 3_600_000;

/** Logs of devices, read from the devices themselves: the server stores none. Lines have numbers, so that none is lost or doubled. */
export class DeviceLogService {
  readonly #link: DeviceLink;
  readonly #view: FleetView;

  constructor(link: DeviceLink, view: FleetView) {
    this.#link = link;
    this.#view = view;
  }

  /** @throws AppError NOT_FOUND, DEVICE_OFFLINE, DEVICE_TIMEOUT before the first line. */
  async open(device: string, query: DeviceLogQuery): Promise<AsyncGenerator<DeviceLogEvent>> {
    if (!this.#view.devices.has(device))
      throw new AppError('NOT_FOUND', { message: `There is no device "${device}".`, hint: '"selvedge device list" shows all devices.' });
    const { after, tail, since } = query;
    const begin = after === undefined ? { tail: tail ?? (since === undefined ? DEFAULT_TAIL : undefined) } : { after };
    const first = await this.#page(device, query, { ...begin, since, waitMs: 0 }, 0);
    return this.#events(device, query, first);
  }

  async *#events(device: string, query: DeviceLogQuery, first: LogPage): AsyncGenerator<DeviceLogEvent> {
    for (let page = first; ; ) {
      if (page.gap) yield { type: 'gap' };
      for (const line of page.lines) yield { type: 'line', ...line };
      if (query.signal.aborted || (!query.follow && page.lines.length === 0)) return;
      const ask = { after: page.next, waitMs: query.follow ? FOLLOW_WAIT_MS : 0 };
      page = await this.#page(device, query, ask, query.follow ? AWAY_MS : ANSWER_MS);
    }
  }

  async #page(
    device: string,
    { workload, signal }: DeviceLogQuery,
    ask: { after?: number | undefined; tail?: number | undefined; since?: string | undefined; waitMs: number },
    patienceMs: number,
  ): Promise<LogPage> {
    const given = Object.fromEntries(Object.entries({ workload, ...ask }).filter(([, value]) => value !== undefined));
    const command = { type: 'logs', waitMs: ask.waitMs, ...given } as const;
    const answer = await this.#link.ask(device, command, { timeoutMs: ask.waitMs + ANSWER_MS, patienceMs, signal });
    if (!('logs' in answer)) throw unexpectedReply(device);
    return answer.logs;
  }
}

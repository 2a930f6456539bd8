import type { SimulationProfile } from '@selvedge/contract';
import { between } from '../domain/random.ts';

/** One direction of a bad line: what is sent arrives later, and in order. */
export class DelayedLine {
  readonly #link: SimulationProfile['link'];
  readonly #random: () => number;
  #lastArrivalMs = 0;

  constructor(link: SimulationProfile['link'], random: () => number) {
    this.#link = link;
    this.#random = random;
  }

  /** Resolves when what is sent now arrives; undefined when that is at once. */
  pass(): Promise<void> | undefined {
    const { latencyMs, lossShare, retransmitMs } = this.#link;
    if (latencyMs.max === 0 && lossShare === 0) return undefined;
    const lost = this.#random() < lossShare ? retransmitMs : 0;
    const nowMs = performance.now();
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, nowMs + between(latencyMs, this.#random) + lost);
    return new Promise((resolve) => setTimeout(resolve, this.#lastArrivalMs - nowMs));
  }
}

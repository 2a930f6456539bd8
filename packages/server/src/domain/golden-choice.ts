import type { DatasetFile } from '@selvedge/contract';
import { MAX_GOLDEN_SET_BYTES } from '@selvedge/contract';

export interface GoldenFile {
  path: string;
  sha256: string;
  sizeBytes: number;
  label: number;
}

/** For the certificate, the signature and the fields around the samples. */
const FRAME_BYTES = 32_768;
const FIELDS_PER_SAMPLE = 512;

/** What a sample of so many bytes takes in the envelope: it is base64 in the document, and the document is base64 in turn. */
function envelopeBytes(sizeBytes: number): number {
  return Math.ceil((Math.ceil((sizeBytes * 4) / 3) + FIELDS_PER_SAMPLE) * (4 / 3));
}

/**
 * Chooses samples of a split: as many of each class as of the others where there are enough, and the same ones each time. The order
 * within a class follows from the content and the seed, so that adding a sample to the data changes little.
 */
export class GoldenChoice {
  readonly #split: string;
  readonly #samples: number;
  readonly #seed: number;
  readonly #byLabel = new Map<number, { rank: number; file: GoldenFile }[]>();

  constructor(options: { split: string; samples: number; seed: number }) {
    this.#split = options.split;
    this.#samples = options.samples;
    this.#seed = options.seed;
  }

  /** Takes a file of the manifest into account; others than labelled samples of the split are passed over. */
  offer({ path, sha256, sizeBytes, split, label }: DatasetFile): void {
    if (split !== this.#split || label === undefined) return;
    const own = this.#byLabel.get(label) ?? [];
    own.push({ rank: rankOf(`${this.#seed}:${sha256}:${path}`), file: { path, sha256, sizeBytes, label } });
    this.#byLabel.set(label, own.length > 2 * this.#samples ? best(own, this.#samples) : own);
  }

  /** Class by class in turn, until there are enough or no further one fits. */
  chosen(): GoldenFile[] {
    const queues = [...this.#byLabel].sort(([a], [b]) => a - b).map(([, own]) => best(own, this.#samples));
    const found: GoldenFile[] = [];
    let roomBytes = MAX_GOLDEN_SET_BYTES - FRAME_BYTES;
    for (let turn = 0; queues.some((queue) => turn < queue.length); turn += 1)
      for (const queue of queues) {
        const file = queue[turn]?.file;
        if (file === undefined || found.length >= this.#samples) continue;
        const bytes = envelopeBytes(file.sizeBytes);
        if (bytes > roomBytes) continue;
        roomBytes -= bytes;
        found.push(file);
      }
    return found;
  }
}

function best(own: readonly { rank: number; file: GoldenFile }[], count: number) {
  return [...own].sort((a, b) => a.rank - b.rank || (a.file.path < b.file.path ? -1 : 1)).slice(0, count);
}

/** FNV-1a with a last mix: spreads well enough to draw lots by. */
function rankOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

import type { Recorded } from './recording-relay.ts';

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g;
/** Of the recording machine: what a device says of itself. */
const INFO = {
  hostname: 'recorded',
  arch: 'x64',
  platform: 'linux',
  osRelease: '6.1',
  cpuModel: 'CPU',
  cpus: 4,
  memoryBytes: 1_073_741_824,
  targets: ['linux-amd64'],
};
/** Commands that are replayed must not have expired. */
const FAR = '2999-01-01T00:00:00.000Z';

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** One recording without what is another in each: times, names, keys, and what the machine is. */
export class Normaliser {
  readonly #names = new Map<string, string>();

  lines(recorded: readonly Recorded[]): string[] {
    return recorded.map((line) => JSON.stringify(this.#value(line)));
  }

  #value(value: unknown, key = ''): unknown {
    if (Array.isArray(value))
      return key === 'samples' ? value.slice(0, 2).map((item) => this.#value(item)) : value.map((item) => this.#value(item, key));
    if (isObject(value)) {
      if (key === 'info') return { ...value, ...INFO };
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, this.#value(inner, name)]));
    }
    if (typeof value === 'string') return this.#text(value, key);
    // Measurements of the machine.
    if (
      typeof value === 'number' &&
      /^(cpu|temperatureC|.*Bytes|clockOffsetMs|latencyMs)$/.test(key) &&
      !/^(size|done|total)Bytes$/.test(key)
    )
      return 1;
    return value;
  }

  #text(text: string, key: string): string {
    if (text.includes('-----BEGIN')) return `{${key}}`;
    if (key === 'secret') return '{secret}';
    if (key === 'issuerSha256' || key === 'trusts') return 'a'.repeat(64);
    if (key === 'expiresAt') return FAR;
    return text.replace(TIME, '2031-01-01T00:00:00.000Z').replace(UUID, (uuid) => this.#name(uuid));
  }

  #name(uuid: string): string {
    const known = this.#names.get(uuid) ?? `id-${this.#names.size + 1}`;
    this.#names.set(uuid, known);
    return known;
  }
}

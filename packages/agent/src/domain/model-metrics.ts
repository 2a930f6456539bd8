import { CONFIDENCE_BINS, type Histogram, type Traffic } from './histogram.ts';

interface Sample {
  name: string;
  labels: ReadonlyMap<string, string>;
  value: number;
}

/** Lines of a server's metrics that are looked at. */
const MAX_LINES = 1000;
const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;

function parseLine(line: string): Sample | undefined {
  const [, name, labels = '', value] = LINE.exec(line) ?? [];
  if (name === undefined) return undefined;
  const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((match): [string, string] => [match[1] ?? '', match[2] ?? '']);
  return { name, labels: new Map(pairs), value: Number(value) };
}

/** Counts per bin from the cumulative ones of the Prometheus format. */
function histogramOf(samples: readonly Sample[], name: string): Histogram | null {
  const buckets = samples
    .filter((sample) => sample.name === `${name}_bucket`)
    .map((sample) => ({
      bound: sample.labels.get('le') === '+Inf' ? Number.POSITIVE_INFINITY : Number(sample.labels.get('le')),
      ...sample,
    }))
    .filter((bucket) => !Number.isNaN(bucket.bound) && Number.isFinite(bucket.value))
    .sort((a, b) => a.bound - b.bound);
  if (buckets.at(-1)?.bound !== Number.POSITIVE_INFINITY) return null;
  const counts = buckets.map(({ value }, index) => Math.max(0, value - (buckets[index - 1]?.value ?? 0)));
  return { bounds: buckets.slice(0, -1).map(({ bound }) => bound), counts };
}

function confidenceOf(samples: readonly Sample[]): number[] | null {
  const histogram = histogramOf(samples, 'selvedge_model_confidence');
  if (histogram === null || histogram.counts.length !== CONFIDENCE_BINS + 1) return null;
  // The last bound is 1, and nothing lies above it.
  return histogram.counts.slice(0, CONFIDENCE_BINS);
}

/** What a model server or a native package has counted since its start, from its /metrics; what it does not count is null. */
export function parseModelMetrics(text: string): Traffic {
  const samples = text
    .split('\n', MAX_LINES)
    .filter((line) => line.startsWith('selvedge_model_'))
    .flatMap((line) => parseLine(line) ?? []);
  const sum = (isIt: (sample: Sample) => boolean) => samples.filter(isIt).reduce((all, sample) => all + (sample.value || 0), 0);
  const isRequest = (sample: Sample) => sample.name === 'selvedge_model_requests_total';
  const latency = histogramOf(samples, 'selvedge_model_latency_seconds');
  return {
    requests: sum(isRequest),
    errors: sum((sample) => isRequest(sample) && Number(sample.labels.get('status')) >= 500),
    latencyMs: latency === null ? null : { bounds: latency.bounds.map((bound) => bound * 1000), counts: latency.counts },
    confidence: confidenceOf(samples),
    confidenceSum: sum((sample) => sample.name === 'selvedge_model_confidence_sum'),
  };
}

/** How often each class was the first result since the start of a model server; empty for what does not count them. */
export function parseClassCounts(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of text.split('\n', MAX_LINES)) {
    if (!line.startsWith('selvedge_model_results_total')) continue;
    const sample = parseLine(line);
    const label = sample?.labels.get('class');
    if (sample === undefined || label === undefined || !Number.isFinite(sample.value)) continue;
    counts.set(unescapeLabel(label).slice(0, 128), sample.value);
  }
  return counts;
}

function unescapeLabel(text: string): string {
  return text.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character));
}

import { CONFIDENCE_BINS, confidenceBin, LATENCY_BOUNDS_MS, MAX_COUNTED_CLASSES } from '../domain/histogram.ts';

/** Upper bounds of the latency histogram, seconds. */
const BUCKETS_S = LATENCY_BOUNDS_MS.map((bound) => bound / 1000);

const escapeLabel = (text: string): string => text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');

/** Counts of one model server, shown in the Prometheus text format. */
export class ModelMetrics {
  readonly #labels: string;
  readonly #byStatus = new Map<string, number>();
  readonly #buckets = BUCKETS_S.map(() => 0);
  #count = 0;
  #sumS = 0;
  readonly #confidences = Array.from({ length: CONFIDENCE_BINS }, () => 0);
  #confidenceSum = 0;
  readonly #classes = new Map<string, number>();

  constructor(model: string, version: string) {
    this.#labels = `model="${escapeLabel(model)}",version="${escapeLabel(version)}"`;
  }

  /** One answered inference request. */
  observe(status: number, seconds: number): void {
    const key = String(status);
    this.#byStatus.set(key, (this.#byStatus.get(key) ?? 0) + 1);
    if (status >= 400) return;
    this.#count += 1;
    this.#sumS += seconds;
    for (const [index, bound] of BUCKETS_S.entries()) {
      if (seconds <= bound) this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    }
  }

  /** How sure the model was of its first result, 0..1. */
  observeConfidence(confidence: number): void {
    const bin = confidenceBin(confidence);
    this.#confidences[bin] = (this.#confidences[bin] ?? 0) + 1;
    this.#confidenceSum += confidence;
  }

  /** What its first result was. Of a model with very many classes only those that came first are told apart. */
  observeClass(label: string): void {
    const before = this.#classes.get(label);
    if (before !== undefined || this.#classes.size < MAX_COUNTED_CLASSES) this.#classes.set(label, (before ?? 0) + 1);
  }

  text(): string {
    const lines = [
      '# HELP selvedge_model_requests_total Inference requests by HTTP status.',
      '# TYPE selvedge_model_requests_total counter',
    ];
    for (const [status, count] of this.#byStatus) lines.push(`selvedge_model_requests_total{${this.#labels},status="${status}"} ${count}`);
    lines.push('# HELP selvedge_model_latency_seconds Time from the whole request to its result, successful requests.');
    lines.push('# TYPE selvedge_model_latency_seconds histogram');
    for (const [index, bound] of BUCKETS_S.entries())
      lines.push(`selvedge_model_latency_seconds_bucket{${this.#labels},le="${bound}"} ${this.#buckets[index] ?? 0}`);
    lines.push(`selvedge_model_latency_seconds_bucket{${this.#labels},le="+Inf"} ${this.#count}`);
    lines.push(`selvedge_model_latency_seconds_sum{${this.#labels}} ${this.#sumS}`);
    lines.push(`selvedge_model_latency_seconds_count{${this.#labels}} ${this.#count}`);
    lines.push(...this.#confidenceLines(), ...this.#classLines());
    lines.push('# HELP selvedge_model_resident_memory_bytes Resident memory of the model server.');
    lines.push('# TYPE selvedge_model_resident_memory_bytes gauge');
    lines.push(`selvedge_model_resident_memory_bytes{${this.#labels}} ${process.memoryUsage.rss()}`);
    return `${lines.join('\n')}\n`;
  }

  #classLines(): string[] {
    if (this.#classes.size === 0) return [];
    return [
      '# HELP selvedge_model_results_total Results by the first label or the label of the best box.',
      '# TYPE selvedge_model_results_total counter',
      ...[...this.#classes].map(([label, count]) => `selvedge_model_results_total{${this.#labels},class="${escapeLabel(label)}"} ${count}`),
    ];
  }

  #confidenceLines(): string[] {
    let below = 0;
    const buckets = this.#confidences.map((count, bin) => {
      below += count;
      return `selvedge_model_confidence_bucket{${this.#labels},le="${(bin + 1) / CONFIDENCE_BINS}"} ${below}`;
    });
    return [
      '# HELP selvedge_model_confidence Score of the first label or of the best box, results that have one.',
      '# TYPE selvedge_model_confidence histogram',
      ...buckets,
      `selvedge_model_confidence_bucket{${this.#labels},le="+Inf"} ${below}`,
      `selvedge_model_confidence_sum{${this.#labels}} ${this.#confidenceSum}`,
      `selvedge_model_confidence_count{${this.#labels}} ${below}`,
    ];
  }
}

import type { MetricPoint, ResultSummary, TelemetrySample } from '@selvedge/contract';

/** What a small device would measure at a time; `seed` tells devices apart. */
export function sample(atMs: number, seed: number): TelemetrySample {
  const wave = (period: number) => Math.sin(atMs / period + seed);
  const minutes = atMs / 60_000;
  return {
    at: new Date(atMs).toISOString(),
    cpu: 0.22 + 0.12 * wave(210_000) + 0.05 * wave(37_000),
    memoryUsedBytes: 1.4e9 + 1.2e8 * wave(600_000),
    memoryTotalBytes: 4e9,
    diskUsedBytes: 1.1e10 + (minutes % 1000) * 1e5,
    diskTotalBytes: 3.2e10,
    temperatureC: seed % 3 === 2 ? null : 47 + 6 * wave(400_000),
    networkRxBytes: (minutes % 100_000) * 42_000 + 30_000 * (1 + wave(90_000)),
    networkTxBytes: (minutes % 100_000) * 11_000,
    agentRssBytes: 4.3e7 + 1e6 * wave(300_000),
  };
}

/** Curves as a training makes them. */
export function metricPoints(epochs: number, fromMs: number): MetricPoint[] {
  return Array.from({ length: epochs }, (_, epoch) => metricPointsOf(epoch + 1, fromMs + epoch * 3000)).flat();
}

export function metricPointsOf(epoch: number, atMs: number): MetricPoint[] {
  const at = new Date(atMs).toISOString();
  const fall = Math.exp(-epoch / 4);
  const jitter = 0.02 * Math.sin(epoch * 2.3);
  return [
    { metric: 'train/loss', step: epoch, value: 2.1 * fall + 0.04, at },
    { metric: 'validation/loss', step: epoch, value: 2 * fall + 0.09 + jitter * fall, at },
    { metric: 'validation/accuracy', step: epoch, value: 0.985 - 0.6 * fall + jitter / 4, at },
    { metric: 'train/lr', step: epoch, value: 0.002 * Math.cos((Math.min(epoch, 30) / 30) * (Math.PI / 2)), at },
  ];
}

export function resultSummary(atMs: number, seed: number): ResultSummary {
  const requests = 120 + ((Math.floor(atMs / 300_000) * (seed + 7)) % 60);
  return {
    at: new Date(atMs).toISOString(),
    spanS: 300,
    workload: 'fruit',
    model: 'fruit',
    version: '3',
    requests,
    errors: requests % 17 === 0 ? 2 : 0,
    p50Ms: 8 + (requests % 5),
    p95Ms: 15 + (requests % 11),
    latency: [[10, requests]],
    confidence: null,
  };
}

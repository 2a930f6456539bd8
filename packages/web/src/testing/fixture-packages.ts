import { createHash } from 'node:crypto';
import { API_VERSION, type GateResult, type Package, type PackageBenchmark, packageName, type Target } from '@selvedge/contract';
import type { FixtureClock } from './fixture-resources.ts';

/** Native packages for looking at the page without a server: ready and measured, under way, failed. */

export const TARGETS: readonly Target[] = [
  { name: 'linux-amd64', description: '64-bit PC (x86-64)', installed: true, extras: [], sizeBytes: 412_000_000, compiler: 'clang 19.1.7' },
  {
    name: 'linux-arm64',
    description: '64-bit ARM: Raspberry Pi 3 and later',
    installed: true,
    extras: [],
    sizeBytes: 380_000_000,
    compiler: null,
  },
  { name: 'linux-armv7', description: '32-bit ARM with NEON', installed: false, extras: [], sizeBytes: null, compiler: null },
];

export const GATES: GateResult[] = [
  { metric: 'accuracy', operator: '>=', wanted: 0.95, value: 0.9783, passed: true, message: '0.9783 on the test data' },
  { metric: 'p95Ms', operator: '<=', wanted: 3, value: 3.41, passed: false, message: '3.41 on edge-1' },
  {
    metric: 'packageMiB',
    operator: '<=',
    wanted: 4,
    value: null,
    passed: false,
    message: 'not measured; build a package with "selvedge build create digits:3 --target TARGET"',
  },
];

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export function benchmark(device: string, at: string): PackageBenchmark {
  return {
    device,
    at,
    cpuModel: 'Cortex-A76',
    archiveSha256: digestOf('archive'),
    images: 2104,
    threads: 1,
    imagesPerS: 421.3,
    latencyMs: { p50: 2.31, p90: 2.62, p95: 3.41, p99: 4.8 },
    stagesMs: { decode: 0.61, preproc: 0.004, infer: 1.62, postproc: 0.01 },
    coldStartMs: 8.4,
    rssBytes: 4_300_000,
    cpuTemperatureC: 51.2,
    energyMj: null,
  };
}

function nativePackage(version: string, target: string, createdAt: string, status: Partial<Package['status']>): Package {
  const name = packageName('digits', version, target);
  return {
    apiVersion: API_VERSION,
    kind: 'Package',
    metadata: {
      name,
      labels: {},
      annotations: {},
      uid: digestOf(name).slice(0, 16),
      generation: 1,
      resourceVersion: 1,
      createdAt,
      updatedAt: createdAt,
    },
    spec: { model: 'digits', version, target },
    status: {
      phase: 'Ready',
      message: '',
      progress: 1,
      observedGeneration: 1,
      artifact: `${name}-1`,
      engine: 'xnnpack',
      precision: 'fp32',
      archive: { sha256: digestOf('archive'), sizeBytes: 1_647_506 },
      manifestSha256: digestOf('manifest'),
      manifest: null,
      notes: ['self-test passed on this machine'],
      error: null,
      builtAt: createdAt,
      benchmarks: [],
      ...status,
    },
  };
}

export function packages(clock: FixtureClock): Package[] {
  const unbuilt = { engine: null, precision: null, archive: null, manifestSha256: null, notes: [], builtAt: null };
  const error = {
    code: 'BUILD_FAILED',
    message: 'A source does not compile: mask.cc:1:9: expected expression',
    hint: 'Mend the source; see the log for all errors.',
    at: clock.ago(30),
  };
  return [
    nativePackage('3', 'linux-arm64', clock.ago(50), {
      benchmarks: [benchmark('edge-1', clock.ago(40)), benchmark('edge-3', clock.ago(38))],
    }),
    nativePackage('3', 'linux-amd64', clock.ago(1), { ...unbuilt, phase: 'Building', progress: 0.42, message: 'compiling 33/77' }),
    nativePackage('2', 'linux-amd64', clock.ago(31), { ...unbuilt, phase: 'Failed', error }),
  ];
}

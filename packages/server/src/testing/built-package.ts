import type { Package, PackageSpec } from '@selvedge/contract';
import { testManifest } from '@selvedge/runtime/package-rig';

/** A Package that is Ready, of version 1 of `digits` unless told otherwise. */
export function builtPackage(
  name: string,
  facts: Partial<Pick<PackageSpec, 'model' | 'version' | 'target'>> & { builtAt?: string; archive?: Package['status']['archive'] } = {},
): Package {
  const { model = 'digits', version = '1', target = 'linux-amd64', builtAt = '2026-01-01T00:00:00.000Z' } = facts;
  return {
    apiVersion: 'selvedge.dev/v1alpha1',
    kind: 'Package',
    metadata: {
      name,
      labels: {},
      annotations: {},
      uid: name,
      generation: 1,
      resourceVersion: 1,
      createdAt: builtAt,
      updatedAt: builtAt,
    },
    spec: { model, version, target },
    status: {
      phase: 'Ready',
      message: '',
      progress: 1,
      observedGeneration: 1,
      artifact: `${name}-g1`,
      engine: 'xnnpack',
      precision: 'fp32',
      archive: facts.archive ?? { sha256: 'c'.repeat(64), sizeBytes: 100 },
      manifestSha256: 'd'.repeat(64),
      manifest: testManifest(undefined, { model, version, target }),
      notes: [],
      error: null,
      builtAt,
      benchmarks: [],
    },
  };
}

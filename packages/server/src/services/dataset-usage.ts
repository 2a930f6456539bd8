import type { Kind } from '@selvedge/contract';
import type { ResourceOf, Store } from '../ports/store.ts';
import { versionName } from './dataset-service.ts';

type VersionReference = Readonly<{ name: string; version: number }>;

/** All resources of a kind, page by page. */
export async function* all<K extends Kind>(store: Store, kind: K): AsyncGenerator<ResourceOf<K>> {
  for (let after: string | null | undefined; after !== null; ) {
    const page = await store.list(kind, after === undefined ? {} : { after });
    yield* page.items;
    after = page.next;
  }
}

/**
 * What needs each dataset version: runs (to be looked at and run again), model versions (their lineage, and what they were
 * measured on), and versions that were made from it.
 *
 * @returns by the name of the version, `run/digits-1`, `modelversion/digits.1`, `datasetversion/digits.v2`.
 */
export async function datasetUsage(store: Store): Promise<Map<string, string[]>> {
  const usage = new Map<string, string[]>();
  const add = (version: string, user: string) => usage.set(version, [...(usage.get(version) ?? []), user]);
  for await (const { metadata, spec } of all(store, 'Run'))
    for (const version of datasetsOf(spec.dataset, spec.evaluations)) add(version, `run/${metadata.name}`);
  for await (const { metadata, spec } of all(store, 'ModelVersion')) {
    for (const version of datasetsOf(spec.lineage?.dataset, spec.evaluations)) add(version, `modelversion/${metadata.name}`);
  }
  for await (const { metadata, spec, status } of all(store, 'DatasetVersion')) {
    const isKept = status.phase !== 'Removing' && status.sameAs === undefined;
    if (isKept && spec.source.type === 'split') add(versionName(spec.dataset, spec.source.version), `datasetversion/${metadata.name}`);
  }
  return usage;
}

/** The versions that something was made of or measured on, each once. */
function datasetsOf(own: VersionReference | undefined, evaluations: readonly { dataset: VersionReference }[] = []): Set<string> {
  const all = [...(own === undefined ? [] : [own]), ...evaluations.map(({ dataset }) => dataset)];
  return new Set(all.map(({ name, version }) => versionName(name, version)));
}

/** Blobs that somebody needs beside the given version: the same archive may be in several datasets, or have been logged as an artifact. */
export async function blobsNeededBeside(store: Store, version: ResourceOf<'DatasetVersion'>): Promise<Set<string>> {
  const needed = await store.mlflow.contentsAmong(blobsOf(version));
  for await (const { metadata, spec, status } of all(store, 'DatasetVersion')) {
    if (metadata.name === version.metadata.name) continue;
    for (const digest of blobsOf({ spec, status })) needed.add(digest);
  }
  for await (const { spec } of all(store, 'ModelVersion')) needed.add(spec.file.sha256).add(spec.bundle.sha256);
  for await (const { status } of all(store, 'Package')) if (status.archive !== null) needed.add(status.archive.sha256);
  for await (const { status } of all(store, 'Rollout')) if (status.golden !== null) needed.add(status.golden.sha256);
  return needed;
}

/** Archive, manifest and report of a version. */
export function blobsOf({ spec, status }: Pick<ResourceOf<'DatasetVersion'>, 'spec' | 'status'>): string[] {
  return [spec.archive?.sha256, status.content?.digest, status.content?.report].filter((digest) => digest !== undefined);
}

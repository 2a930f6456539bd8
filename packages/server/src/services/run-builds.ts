import { type PackageSpec, packageName, type Run } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import { isSettled, NEW_PACKAGE_STATUS } from '../domain/package-plan.ts';
import type { WantedPackage } from '../domain/run-actions.ts';
import type { Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';

export interface RunBuildsOptions {
  store: Store;
  tools: ToolClient;
  log: Logger;
}

/** The native packages that a run's `build` block asks for. */
export class RunBuilds {
  readonly #options: RunBuildsOptions;

  constructor(options: RunBuildsOptions) {
    this.#options = options;
  }

  /** Which packages the run waits for, and how they stand; none before the version is registered. */
  async look(run: Run): Promise<WantedPackage[]> {
    return Promise.all(wantedBy(run).map(async ({ name }) => ({ name, status: (await this.#options.store.get('Package', name))?.status })));
  }

  /** Makes those that are not there; the package controller builds them. */
  async ensure(run: Run): Promise<void> {
    const { store, log } = this.#options;
    for (const { name, spec } of wantedBy(run)) {
      if ((await store.get('Package', name)) !== undefined) continue;
      await store.create('Package', { name, labels: {}, annotations: {}, spec, status: NEW_PACKAGE_STATUS });
      log.info('package wanted', { run: run.metadata.name, package: name });
    }
  }

  /** Removes those that are not finished. */
  async drop(run: Run): Promise<void> {
    const { store, tools, log } = this.#options;
    for (const { name } of wantedBy(run)) {
      const one = await store.get('Package', name);
      if (one === undefined || isSettled(one)) continue;
      await store.delete('Package', name);
      if (one.status.artifact === null) continue;
      await tools.removeArtifact('build', one.status.artifact).catch((error: unknown) => {
        log.warn('artifact not removed', { tool: 'build', artifact: one.status.artifact, ...describeError(error) });
      });
    }
  }
}

function wantedBy({ spec, status }: Run): { name: string; spec: PackageSpec }[] {
  const { build: block } = spec.pipelineSpec;
  const [model, version] = status.modelVersion?.split('/') ?? [];
  if (block === undefined || model === undefined || version === undefined) return [];
  const { targets, ...build } = block;
  return [...new Set(targets)].map((target) => ({
    name: packageName(model, version, target, build.precision),
    spec: { model, version, target, build },
  }));
}

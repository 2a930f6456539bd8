import { Readable } from 'node:stream';
import {
  AppError,
  type ArtifactRequest,
  artifactNameSchema,
  type BuildReport,
  buildReportSchema,
  type ModelVersion,
  type Package,
  type PackageStatus,
  packageManifestSchema,
  toAppError,
} from '@selvedge/contract';
import { describeError, type Logger, sha256Hex, sleep } from '@selvedge/runtime';
import { verifyPackageArchive } from '@selvedge/runtime/package';
import { type PackageSigner, sealedArchive, sealHead } from '@selvedge/runtime/package-sealing';
import { type BuildObservation, isSettled, type PackageAction, planPackage } from '../domain/package-plan.ts';
import { ORIGIN_ANNOTATION } from '../domain/run-markers.ts';
import { artifactDataUrl } from '../domain/run-requests.ts';
import type { BlobStore } from '../ports/blob-store.ts';
import type { Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';
import { draftOf } from './draft-of.ts';
import { failureOf } from './failure-of.ts';
import { modelVersionName } from './model-registry.ts';
import { readSmallJson } from './read-small-json.ts';

const TOOL = 'build';
const POLL_MS = 300;
/** After something that only waiting mends. */
const RETRY_MS = 3000;
const WAIT_CODES: readonly string[] = ['TOOL_UNAVAILABLE', 'DISK_FULL'];

/** Whose signature devices trust. */
export interface PackageTrust {
  signer(): Promise<PackageSigner>;
  readonly caPem: string;
}

export interface PackageBuilderOptions {
  store: Store;
  blobs: BlobStore;
  tools: ToolClient;
  trust: PackageTrust;
  /** Why a tool cannot be used now; undefined when it can. */
  whyDown: (tool: string) => string | undefined;
  origin: () => string;
  clock: () => Date;
  log: Logger;
}

/**
 * The build tool's artifact of a package: the key under which the work is done once. It changes with every change of the
 * spec, and with a package that is deleted and made again, which is how a failed build is tried again.
 */
function buildArtifactOf({ metadata, spec }: Package): string {
  const digest = sha256Hex(JSON.stringify([metadata.uid, metadata.generation, spec])).slice(0, 12);
  const start = metadata.name.slice(0, 90).replace(/[-.]+$/, '');
  return artifactNameSchema.parse(`${start}.g${metadata.generation}.${digest}`);
}

/**
 * Drives one package to its end: look, plan, act. Everything that decides is in the store or in the tool, so that another
 * may go on at any moment; what is stored is named by its digest, so that doing it twice does no harm.
 */
export class PackageBuilder {
  readonly #name: string;
  readonly #options: PackageBuilderOptions;

  constructor(name: string, options: PackageBuilderOptions) {
    this.#name = name;
    this.#options = options;
  }

  /** Returns when nothing is left to do, the package is gone, or the signal aborts. */
  async drive(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let pauseMs = POLL_MS;
      try {
        const one = await this.#options.store.get('Package', this.#name);
        if (one === undefined || isSettled(one)) return;
        pauseMs = await this.#round(one, signal);
      } catch (error) {
        if (signal.aborted) return;
        pauseMs = RETRY_MS;
        this.#options.log.error('a round of a build failed; it is tried again', { package: this.#name, ...describeError(error) });
      }
      await sleep(pauseMs, signal).catch(() => undefined); // aborted: the loop ends by its condition
    }
  }

  /** @returns how long to wait before the next one. */
  async #round(one: Package, signal: AbortSignal): Promise<number> {
    const observed = await this.#look(one);
    if (await this.#dropUnreachable(one, observed)) return 0;
    for (const action of planPackage(one, observed)) {
      try {
        await this.#act(one, action, signal);
      } catch (thrown) {
        signal.throwIfAborted();
        if (!(thrown instanceof AppError)) throw thrown;
        if (!WAIT_CODES.includes(thrown.code)) return await this.#fail(one, thrown);
        await this.#write(one, () => ({ message: thrown.message }));
        return RETRY_MS;
      }
    }
    return POLL_MS;
  }

  async #look(one: Package): Promise<BuildObservation> {
    const reason = this.#options.whyDown(TOOL);
    if (reason !== undefined) return { kind: 'unreachable', reason };
    try {
      const status = await this.#options.tools.getStatus(TOOL, buildArtifactOf(one));
      return status === undefined ? { kind: 'absent' } : { kind: 'present', status };
    } catch (error) {
      if (error instanceof AppError && error.code === 'TOOL_UNAVAILABLE') return { kind: 'unreachable', reason: error.message };
      throw error;
    }
  }

  /** What was asked for when the server had another port cannot fetch its inputs: it is removed, to be asked for anew. */
  async #dropUnreachable(one: Package, observed: BuildObservation): Promise<boolean> {
    if (observed.kind !== 'present' || observed.status.status === 'completed') return false;
    const origin = one.metadata.annotations[ORIGIN_ANNOTATION];
    if (origin === undefined || origin === this.#options.origin()) return false;
    await this.#options.tools.removeArtifact(TOOL, buildArtifactOf(one));
    await this.#saveOrigin();
    return true;
  }

  async #saveOrigin(): Promise<void> {
    await this.#options.store.update('Package', this.#name, (current) =>
      draftOf(current, { annotations: { ...current.metadata.annotations, [ORIGIN_ANNOTATION]: this.#options.origin() } }),
    );
  }

  async #act(one: Package, action: PackageAction, signal: AbortSignal): Promise<void> {
    switch (action.type) {
      case 'show':
        return this.#write(one, () => ({ ...action.change, error: null, artifact: buildArtifactOf(one) }));
      case 'request': {
        await this.#saveOrigin();
        this.#options.log.info('build requested', { package: this.#name });
        return await this.#options.tools.createArtifact(TOOL, await this.#requestOf(one));
      }
      case 'collect':
        return this.#collect(one, signal);
      case 'fail':
        await this.#write(one, () => ({
          phase: 'Failed',
          message: action.error.message,
          error: action.error,
          observedGeneration: one.metadata.generation,
        }));
        this.#options.log.warn('build failed', { package: this.#name, code: action.error.code });
    }
  }

  async #fail(one: Package, error: AppError): Promise<number> {
    this.#options.log.warn('build failed', { package: this.#name, ...describeError(error) });
    const failure = failureOf(error);
    await this.#write(one, () => ({
      phase: 'Failed',
      message: failure.message,
      error: failure,
      observedGeneration: one.metadata.generation,
    }));
    return 0;
  }

  /** An edit that came in between is left to the next round. */
  async #write(one: Package, change: (status: PackageStatus) => Partial<PackageStatus>): Promise<void> {
    await this.#options.store.update('Package', this.#name, (current) => {
      if (current.metadata.generation !== one.metadata.generation || current.metadata.uid !== one.metadata.uid) return undefined;
      return draftOf(current, { status: { ...current.status, ...change(current.status) } });
    });
  }

  async #versionOf({ spec }: Package): Promise<ModelVersion> {
    const found = await this.#options.store.get('ModelVersion', modelVersionName(spec.model, spec.version));
    if (found !== undefined) return found;
    throw new AppError('REFERENCE_MISSING', { message: `Model version "${spec.model}:${spec.version}" has been removed.` });
  }

  async #requestOf(one: Package): Promise<ArtifactRequest> {
    const version = await this.#versionOf(one);
    const { model, version: number, file, labels, preproc, postproc, inputs, outputs } = version.spec;
    const origin = this.#options.origin();
    // the tools know inputs by their files' names
    const blob = (sha256: string, name: string) => ({ url: `${origin}/api/v1/blobs/${sha256}?name=${name}`, sha256 });
    const golden = await this.#goldenOf(version);
    const samples = await this.#samplesOf(version);
    return {
      name: buildArtifactOf(one),
      parameters: {
        model,
        version: number,
        target: one.spec.target,
        modelSha256: file.sha256,
        build: one.spec.build ?? {},
        labels,
        preproc,
        postproc,
        inputs,
        outputs,
        metric: 'accuracy',
      },
      inputs: {
        model: blob(file.sha256, 'model.onnx'),
        ...(golden === undefined ? {} : { golden: blob(golden, 'golden.json') }),
        ...(samples === undefined ? {} : { samples: { url: samples } }),
      },
    };
  }

  async #goldenOf({ spec }: ModelVersion): Promise<string | undefined> {
    const bundle = await readSmallJson(await this.#options.blobs.open(spec.bundle.sha256), packageManifestSchema, 'package manifest');
    return bundle.files.find((file) => file.path === bundle.goldenFile)?.sha256;
  }

  /** What the version was trained and tested on, while its run and the split tool's artifact are there. */
  async #samplesOf({ spec }: ModelVersion): Promise<string | undefined> {
    const { store, tools, origin } = this.#options;
    const run = spec.lineage === null ? undefined : await store.get('Run', spec.lineage.run);
    const artifact = run?.status.steps.find((step) => step.name === 'split')?.artifact;
    if (artifact == null) return undefined;
    const status = await tools.getStatus('split', artifact);
    return status?.status === 'completed' ? artifactDataUrl(origin(), 'split', artifact) : undefined;
  }

  async #collect(one: Package, signal: AbortSignal): Promise<void> {
    const { tools, blobs, trust, clock, log } = this.#options;
    const artifact = buildArtifactOf(one);
    const report = await readSmallJson(await tools.openFile(TOOL, artifact, 'build.json', signal), buildReportSchema, 'build.json');
    assertAsked(report, one, await this.#versionOf(one));
    const signer = await trust.signer();
    const head = await sealHead(report.manifest, report.provenance, signer);
    const files = await tools.openFile(TOOL, artifact, 'files.tar.zst', signal);
    if (files === undefined) throw new AppError('BUILD_FAILED', { message: 'The build tool left no files.tar.zst.' });
    const archive = await blobs.put(Readable.from(sealedArchive(head, files, signer), { objectMode: false }), { signal });
    await this.#check(archive.sha256, signal);
    await this.#write(one, () => ({
      phase: 'Ready',
      message: '',
      progress: 1,
      observedGeneration: one.metadata.generation,
      engine: report.engine,
      precision: report.precision,
      archive: { sha256: archive.sha256, sizeBytes: archive.sizeBytes },
      manifestSha256: head.manifestSha256,
      manifest: report.manifest,
      notes: report.notes,
      error: null,
      builtAt: clock().toISOString(),
      benchmarks: [],
    }));
    log.info('package built', { package: this.#name, sha256: archive.sha256, sizeBytes: archive.sizeBytes });
  }

  /** The same check that devices make: what they would refuse never becomes Ready. */
  async #check(sha256: string, signal: AbortSignal): Promise<void> {
    const source = await this.#options.blobs.open(sha256);
    if (source === undefined) throw new Error(`the archive ${sha256} is gone`);
    try {
      await verifyPackageArchive({ source, ca: this.#options.trust.caPem, expected: { archiveSha256: sha256 }, signal });
    } catch (cause) {
      signal.throwIfAborted();
      await this.#options.blobs.delete(sha256);
      throw new AppError(
        'BUILD_FAILED',
        { message: `What the build tool made does not hold together: ${toAppError(cause).message}` },
        { cause },
      );
    }
  }
}

/** @throws AppError BUILD_FAILED (operational) when the tool made something else. */
function assertAsked({ manifest }: BuildReport, { spec }: Package, version: ModelVersion): void {
  const asked = { model: spec.model, version: spec.version, target: spec.target, modelSha256: version.spec.file.sha256 };
  const { model, version: number, target, modelSha256 } = manifest;
  if (JSON.stringify(asked) === JSON.stringify({ model, version: number, target, modelSha256 })) return;
  throw new AppError('BUILD_FAILED', { message: `The build tool made ${model}:${number} for ${target}, which was not asked for.` });
}

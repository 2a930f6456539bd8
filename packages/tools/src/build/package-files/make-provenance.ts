import { type BuildOptions, type Provenance, provenanceSchema } from '@selvedge/contract';
import { sha256Hex } from '@selvedge/runtime';

export interface ProvenanceInputs {
  readonly model: string;
  readonly version: string;
  readonly target: string;
  readonly modelSha256: string;
  readonly build: BuildOptions;
  /** What was chosen where the options said `auto`. */
  readonly chosen: { readonly engine: string; readonly precision: string };
  readonly manifestSha256: string;
  /** sha256 of the target's lock: every package of the sysroot by version and digest. */
  readonly toolchainSha256: string;
  /** Version of the compiler. */
  readonly compiler: string;
  /** sha256 of each source of the runtime, by path below native/runtime. */
  readonly runtimeSources: ReadonlyMap<string, string>;
  /** sha256 of the training samples that precision was chosen with; undefined when none were used. */
  readonly samplesSha256: string | undefined;
}

/** The statement of how a package came about; its subject is the manifest. Same inputs, same statement. */
export function makeProvenance(inputs: ProvenanceInputs): Provenance {
  const { model, version, target, build, chosen, compiler } = inputs;
  const dependency = (uri: string, sha256: string) => ({ uri, digest: { sha256 } });
  const sources = [...inputs.runtimeSources].sort(([a], [b]) => (a < b ? -1 : 1));
  const { sources: userSources = [], ...options } = build;
  return provenanceSchema.parse({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'manifest.json', digest: { sha256: inputs.manifestSha256 } }],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: 'https://selvedge.dev/build/native/v1',
        externalParameters: { model, version, target, build: { ...options, sources: userSources.map(({ path }) => path) } },
        internalParameters: { ...chosen, compiler },
        resolvedDependencies: [
          dependency(`selvedge:model/${model}/${version}`, inputs.modelSha256),
          dependency(`selvedge:target/${target}/lock.json`, inputs.toolchainSha256),
          ...(inputs.samplesSha256 === undefined ? [] : [dependency('selvedge:training-set', inputs.samplesSha256)]),
          ...sources.map(([path, sha256]) => dependency(`selvedge:native/runtime/${path}`, sha256)),
          ...userSources.map(({ path, text }) => dependency(`selvedge:build.sources/${path}`, sha256Hex(text))),
        ],
      },
      runDetails: { builder: { id: 'https://selvedge.dev/tools/build/v1' } },
    },
  });
}

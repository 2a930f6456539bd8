import { type NativeManifest, nativeManifestSchema } from '@selvedge/contract';
import type { BuildParameters } from '../parameters.ts';

export interface ManifestFacts extends Pick<NativeManifest, 'engine' | 'precision' | 'modelFile' | 'goldenFile' | 'benchmark' | 'files'> {}

/** manifest.json of a package, and its bytes: canonical, so that the same package has the same digest. */
export function makeManifest(parameters: BuildParameters, facts: ManifestFacts): { manifest: NativeManifest; text: string } {
  const { model, version, target, modelSha256, inputs, outputs, labels, preproc, postproc, build } = parameters;
  const manifest = nativeManifestSchema.parse({
    formatVersion: 1,
    runtime: 'native',
    model,
    version,
    target,
    ...facts,
    modelSha256,
    entrypoint: 'run',
    sbomFile: 'sbom.cdx.json',
    inputs,
    outputs,
    labels,
    preproc,
    postproc,
    dctScaling: build.dctScaling ?? true,
  });
  return { manifest, text: `${JSON.stringify(manifest, null, 2)}\n` };
}

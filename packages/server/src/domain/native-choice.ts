import {
  type Device,
  type InferenceModel,
  type NativePackageReference,
  type Package,
  RUNTIME_ANNOTATION,
  targetOf,
} from '@selvedge/contract';

/** Targets whose packages a device can run, the best first; none before it has reported what it is. */
export function targetsOf({ status }: Device): readonly string[] {
  const { info } = status;
  if (info === null) return [];
  if (info.targets !== undefined) return info.targets;
  const target = targetOf(info.arch, info.platform);
  return target === undefined ? [] : [target];
}

/** What a package was last built as; while it is built anew, that stays in use. Undefined before the first time. */
export function builtOf({ metadata, status }: Package): NativePackageReference | undefined {
  const { archive, manifest, manifestSha256 } = status;
  if (archive === null || manifest === null || manifestSha256 === null) return undefined;
  const { model, version, target } = manifest;
  return { package: metadata.name, model, version, target, archive, manifestSha256 };
}

/** Whether a package, as it was built, is of this version. A changed spec makes it another version's only once that is built. */
export function isBuiltOf({ status }: Package, model: string, version: string): boolean {
  return status.manifest?.model === model && status.manifest.version === version;
}

/** Of the packages of one version, the one that a device is to run: of its best target the one that was built last. */
export function chooseNative(packages: readonly Package[], device: Device): Package | undefined {
  const newest = (a: Package, b: Package): number => {
    const [first, second] = [a.status.builtAt ?? '', b.status.builtAt ?? ''];
    if (first !== second) return first > second ? -1 : 1;
    return a.metadata.name < b.metadata.name ? -1 : 1;
  };
  for (const target of targetsOf(device)) {
    const [best] = packages.filter((one) => builtOf(one)?.target === target).sort(newest);
    if (best !== undefined) return best;
  }
  return undefined;
}

/** What a device is told of its native package; undefined when there is none, or the InferenceModel wants none. */
export function nativeReference(
  { metadata }: InferenceModel,
  packages: readonly Package[],
  device: Device,
): NativePackageReference | undefined {
  if (metadata.annotations[RUNTIME_ANNOTATION] === 'model-server') return undefined;
  const chosen = chooseNative(packages, device);
  return chosen === undefined ? undefined : builtOf(chosen);
}

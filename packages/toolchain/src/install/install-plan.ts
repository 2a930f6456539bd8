import { AppError } from '@selvedge/contract';
import type { SignedArchive } from '../debian/archive.ts';
import type { DebianPackage, SourceFile } from '../debian/package-index.ts';
import { resolvePackages } from '../debian/resolve.ts';
import type { Recipe } from '../recipe.ts';

/** All that an installation takes from the archive. */
export interface InstallPlan {
  readonly sysroot: readonly DebianPackage[];
  /** Packages of which only the headers are taken. */
  readonly headers: readonly DebianPackage[];
  /** Empty when the compiler is there already. */
  readonly compiler: readonly DebianPackage[];
  readonly xnnpack: SourceFile;
  readonly pthreadpool: SourceFile;
}

/** @throws AppError INPUT_INVALID (user) for an extra that the recipe does not have; the hint names those it has. */
export function checkExtras(recipe: Recipe, extras: readonly string[]): void {
  const unknown = extras.find((extra) => recipe.extras[extra] === undefined);
  if (unknown === undefined) return;
  throw new AppError('INPUT_INVALID', {
    message: `${recipe.name} has no extra ${unknown}.`,
    hint: `Its extras: ${Object.keys(recipe.extras).join(', ') || 'none'}.`,
  });
}

/**
 * Reads the indexes and chooses packages.
 *
 * @param compilerArch - this machine's architecture when the compiler has to be installed as well.
 */
export async function planInstall(
  archive: SignedArchive,
  recipe: Recipe,
  extras: readonly string[],
  compilerArch: string | undefined,
  onProgress: (doneBytes: number, what: string) => void,
): Promise<InstallPlan> {
  const { sysroot, compiler } = recipe.debian;
  const index = await archive.packages(recipe.debianArch, (done) => onProgress(done, `packages of ${recipe.debianArch}`));
  const chosen = extras.flatMap((extra) => recipe.extras[extra] ?? []);
  const wanted = [...sysroot.packages, ...(recipe.packages ?? []), ...chosen.flatMap((extra) => extra.packages ?? [])];
  const packages = resolvePackages(index, wanted, new Set(sysroot.skip));
  const headers = chosen
    .flatMap((extra) => extra.headersOf ?? [])
    .map((name) => {
      const found = index.get(name);
      if (found === undefined) throw new AppError('REFERENCE_MISSING', { message: `The archive has no package ${name}.` });
      return found;
    });
  const hostIndex =
    compilerArch === undefined || compilerArch === recipe.debianArch
      ? index
      : await archive.packages(compilerArch, (done) => onProgress(done, `packages of ${compilerArch}`));
  const sourceNames = [recipe.xnnpack.sourcePackage, recipe.xnnpack.pthreadpoolPackage];
  const [xnnpack, pthreadpool] = await archive.sources(sourceNames, (done) => onProgress(done, 'sources'));
  if (xnnpack === undefined || pthreadpool === undefined)
    throw new AppError('REFERENCE_MISSING', { message: 'The archive has no source of XNNPACK.' });
  return {
    sysroot: packages,
    headers,
    compiler: compilerArch === undefined ? [] : resolvePackages(hostIndex, compiler.packages, new Set(compiler.skip)),
    xnnpack,
    pthreadpool,
  };
}

import { AppError } from '@selvedge/contract';
import type { DebianPackage, PackageIndex } from './package-index.ts';

/**
 * The packages that the wanted ones need, themselves included, sorted by name. Of alternatives the first that exists is
 * taken, unless another one is in already; a virtual package is met by its first provider.
 *
 * @param skip - names where the walk stops: nothing of them is needed in a folder that nobody boots.
 * @throws AppError REFERENCE_MISSING (user) for a wanted package, or a dependency, that the archive does not have.
 */
export function resolvePackages(index: PackageIndex, wanted: readonly string[], skip: ReadonlySet<string>): DebianPackage[] {
  const taken = new Map<string, DebianPackage>();
  const queue: { alternatives: readonly string[]; of: string | undefined }[] = wanted.map((name) => ({
    alternatives: [name],
    of: undefined,
  }));
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { alternatives, of } = next;
    if (alternatives.some((name) => skip.has(name))) continue;
    if (isMet(index, taken, alternatives)) continue;
    const found = pick(index, alternatives);
    if (found === undefined) {
      const because = of === undefined ? '' : `, which ${of} needs`;
      throw new AppError('REFERENCE_MISSING', { message: `The archive has no package ${alternatives.join(' or ')}${because}.` });
    }
    if (skip.has(found.name)) continue;
    taken.set(found.name, found);
    for (const dependency of found.depends) queue.push({ alternatives: dependency, of: found.name });
  }
  return [...taken.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function isMet(index: PackageIndex, taken: ReadonlyMap<string, DebianPackage>, alternatives: readonly string[]): boolean {
  return alternatives.some((name) => taken.has(name) || index.providersOf(name).some((provider) => taken.has(provider)));
}

function pick(index: PackageIndex, alternatives: readonly string[]): DebianPackage | undefined {
  for (const name of alternatives) {
    const real = index.get(name);
    if (real !== undefined) return real;
    const [provider] = index.providersOf(name);
    if (provider !== undefined) return index.get(provider);
  }
  return undefined;
}

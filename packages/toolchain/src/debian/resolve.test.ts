import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PackageIndex, parseRelation } from './package-index.ts';
import { resolvePackages } from './resolve.ts';

const SHA = '0'.repeat(64);
const paragraph = (name: string, fields = '') =>
  `Package: ${name}\nVersion: 1\nArchitecture: armhf\nFilename: pool/${name}.deb\nSize: 1\nSHA256: ${SHA}\n${fields}\n`;
const resolve = (text: string, wanted: string[], skip: string[] = []) =>
  resolvePackages(new PackageIndex(text), wanted, new Set(skip)).map(({ name }) => name);

describe('parseRelation', () => {
  it('reads versions, architectures and alternatives away', () => {
    expect(parseRelation('libc6 (>= 2.34), perl:any | perl5 [!amd64], ')).toEqual([['libc6'], ['perl', 'perl5']]);
  });
});

describe('resolvePackages', () => {
  it('follows Depends and Pre-Depends', () => {
    const text = paragraph('a', 'Depends: b\n') + paragraph('b', 'Pre-Depends: c (= 1)\n') + paragraph('c') + paragraph('d');
    expect(resolve(text, ['a'])).toEqual(['a', 'b', 'c']);
  });

  it('takes the first alternative that exists', () => {
    expect(resolve(paragraph('a', 'Depends: gone | b | c\n') + paragraph('b') + paragraph('c'), ['a'])).toEqual(['a', 'b']);
  });

  it('meets a virtual package by its provider, and by one that is in already', () => {
    const text =
      paragraph('a', 'Depends: virtual\n') + paragraph('one', 'Provides: virtual\n') + paragraph('two', 'Provides: virtual (= 1)\n');
    expect(resolve(text, ['a'])).toEqual(['a', 'one']);
    expect(resolve(text, ['two', 'a'])).toEqual(['a', 'two']);
  });

  it('stops at skipped packages and at circles', () => {
    const text = paragraph('a', 'Depends: b, perl\n') + paragraph('b', 'Depends: a\n') + paragraph('perl', 'Depends: c\n') + paragraph('c');
    expect(resolve(text, ['a'], ['perl'])).toEqual(['a', 'b']);
  });

  it('names a dependency that does not exist, and who needs it', () => {
    expect(() => resolve(paragraph('a', 'Depends: gone\n'), ['a'])).toThrow(/gone, which a needs/);
  });

  it('always gives a closed set', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const graph = fc.tuple(...names.map(() => fc.subarray(names)));
    fc.assert(
      fc.property(graph, fc.subarray(names, { minLength: 1 }), (edges, wanted) => {
        const text = names
          .map((name, index) => paragraph(name, edges[index]?.length ? `Depends: ${edges[index]?.join(', ')}\n` : ''))
          .join('');
        const taken = new Set(resolve(text, wanted));
        for (const name of wanted) expect(taken).toContain(name);
        for (const name of taken) for (const needed of edges[names.indexOf(name)] ?? []) expect(taken).toContain(needed);
      }),
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDepfile } from './depfile.ts';

describe('parseDepfile', () => {
  it('reads long lines and escapes', () => {
    expect(parseDepfile('a.o: /x/a.cc \\\n  /with\\ blank/b.h /c$$d/\\#e.h\n')).toEqual(['/x/a.cc', '/with blank/b.h', '/c$d/#e.h']);
  });

  it('gives back every name that was written', () => {
    const name = fc.stringMatching(/^\/[\w .#$-]{1,20}[\w]$/);
    const escaped = (text: string) => text.replaceAll('$', '$$$$').replace(/([ #])/g, '\\$1');
    fc.assert(
      fc.property(fc.array(name), (names) => {
        expect(parseDepfile(`x.o: ${names.map(escaped).join(' \\\n ')}\n`)).toEqual(names);
      }),
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseControl, parseDigestLines } from './control-file.ts';

describe('parseControl', () => {
  it('reads paragraphs with folded fields, whatever the case of their names', () => {
    const text = 'Package: a\nDESCRIPTION: one\n two\n\n\nPackage: b\n';
    expect([...parseControl(text)].map((fields) => Object.fromEntries(fields))).toEqual([
      { package: 'a', description: 'one\ntwo' },
      { package: 'b' },
    ]);
  });

  it('keeps only the wanted fields', () => {
    const [fields] = parseControl('Package: a\nTag: x,\n y\nSize: 3', new Set(['size']));
    expect(Object.fromEntries(fields ?? [])).toEqual({ size: '3' });
  });

  it('refuses a line without a field name', () => {
    expect(() => [...parseControl('<html>\n')]).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }));
  });

  it('gives back what was written', () => {
    const name = fc.stringMatching(/^[a-z][a-z-]{0,8}$/);
    const value = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/);
    const paragraph = fc.dictionary(name, value, { minKeys: 1, maxKeys: 5 });
    fc.assert(
      fc.property(fc.array(paragraph, { maxLength: 4 }), (paragraphs) => {
        const text = paragraphs
          .map((fields) =>
            Object.entries(fields)
              .map(([key, content]) => `${key}: ${content}\n`)
              .join(''),
          )
          .join('\n');
        expect([...parseControl(text)].map((fields) => Object.fromEntries(fields))).toEqual(paragraphs.map((fields) => ({ ...fields })));
      }),
    );
  });
});

describe('parseDigestLines', () => {
  it('takes lines that have a sha256 and leaves others out', () => {
    const digest = 'a'.repeat(64);
    expect([...parseDigestLines(`\n${digest} 12 main/x.xz\n0123 5 short\n`)]).toEqual([['main/x.xz', { sha256: digest, sizeBytes: 12 }]]);
  });
});

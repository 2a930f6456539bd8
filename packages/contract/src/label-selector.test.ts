import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchesSelector, parseLabelSelector } from './label-selector.ts';

const matches = (text: string, labels: Record<string, string>) => matchesSelector(parseLabelSelector(text), labels);

describe('a label selector', () => {
  it.each([
    ['app=camera,site==north', { app: 'camera', site: 'north' }, { app: 'camera', site: 'south' }],
    ['role!=spare', { role: 'cam' }, { role: 'spare' }],
    ['role!=spare', {}, { role: 'spare' }],
    ['line in (1, 2), site', { line: '2', site: '' }, { line: '3', site: '' }],
    ['line notin (1,2)', { line: '3' }, { line: '1' }],
    ['!broken', { site: 'a' }, { broken: 'yes' }],
    ['example.com/site.a=x', { 'example.com/site.a': 'x' }, {}],
    ['spare=', { spare: '' }, { spare: 'x' }],
  ])('%s', (text, yes, no) => {
    expect(matches(text, yes as Record<string, string>)).toBe(true);
    expect(matches(text, no as Record<string, string>)).toBe(false);
  });

  it('selects everything when it is empty, and nothing that labels inherit', () => {
    expect(matches('', { any: 'thing' })).toBe(true);
    expect(matches('constructor', {})).toBe(false);
  });

  it('names every part that is none', () => {
    expect(() => parseLabelSelector('a=b=c, =x, ok=1, a in b, @Not')).toThrow(
      expect.objectContaining({
        code: 'INPUT_INVALID',
        details: expect.objectContaining({ issues: expect.objectContaining({ length: 4 }) }),
      }),
    );
  });

  it('takes a group as all its conditions', () => {
    const groups = new Map([['cams', parseLabelSelector('role=cam,!broken')]]);
    const wanted = parseLabelSelector('@cams,site=a');
    expect(matchesSelector(wanted, { role: 'cam', site: 'a' }, groups)).toBe(true);
    expect(matchesSelector(wanted, { role: 'cam', site: 'a', broken: '' }, groups)).toBe(false);
    expect(matchesSelector(parseLabelSelector('@none'), {}, groups)).toBe(false);
  });

  it('parses or refuses any text, and never fails otherwise', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (text) => {
        try {
          matches(text, { a: 'b' });
        } catch (error) {
          expect(error).toMatchObject({ code: 'INPUT_INVALID' });
        }
      }),
    );
  });
});

import { AppError } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { parseLabelSelector } from './label-selector.ts';

describe('parseLabelSelector', () => {
  it('reads one or several equalities', () => {
    expect(parseLabelSelector('app=camera')).toEqual({ app: 'camera' });
    expect(parseLabelSelector('app==camera, site = north,example.org/x=')).toEqual({ app: 'camera', site: 'north', 'example.org/x': '' });
    expect(parseLabelSelector('')).toEqual({});
  });

  it.each(['app!=camera', 'app in (a,b)', 'app', '=x', 'a=b=c', 'a=b c'])('refuses %s', (text) => {
    expect(() => parseLabelSelector(text)).toThrow(AppError);
  });
});

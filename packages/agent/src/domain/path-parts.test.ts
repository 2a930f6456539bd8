import { describe, expect, it } from 'vitest';
import { partsBelow, pathParts } from './path-parts.ts';

describe('pathParts', () => {
  it.each([
    ['/a/b', ['a', 'b']],
    ['//a/./b/', ['a', 'b']],
    ['/', []],
    ['/a/..b', ['a', '..b']],
  ])('splits %s', (path, parts) => expect(pathParts(path)).toEqual(parts));

  it.each(['a/b', '/a/../b', '/..', '/a/\0b', ''])('refuses %j', (path) => expect(pathParts(path)).toBeUndefined());
});

describe('partsBelow', () => {
  it('tells what is below a folder, part by part', () => {
    expect(partsBelow(['var', 'app'], ['var', 'app', 'x', 'y'])).toEqual(['x', 'y']);
    expect(partsBelow([], ['x'])).toEqual(['x']);
    expect(partsBelow(['var', 'app'], ['var', 'app'])).toBeUndefined();
    expect(partsBelow(['var', 'app'], ['var', 'apple', 'x'])).toBeUndefined();
  });
});

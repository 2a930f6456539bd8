import type { Metadata, Module, ServerEvent } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { sample } from '../testing/fixture-curves.ts';
import { device, FixtureClock, module } from '../testing/fixture-resources.ts';
import { EventLog } from './event-log.ts';
import { appendPoints, appendSample, patchModule, patchResource, patchResources } from './patch.ts';

const clock = new FixtureClock(1_790_000_000_000);
const edge = (name: string, resourceVersion: number, change: Partial<Metadata> = {}) => {
  const made = device(name, clock, 0, {});
  return { ...made, metadata: { ...made.metadata, resourceVersion, ...change } };
};

describe('patchResource', () => {
  const items = [edge('a', 3), edge('b', 5)];

  it('replaces a resource by a newer one in its place', () => {
    const patched = patchResource(items, 'written', edge('a', 4));
    expect(patched.map((item) => [item.metadata.name, item.metadata.resourceVersion])).toEqual([
      ['a', 4],
      ['b', 5],
    ]);
  });

  it('leaves the list alone when the event is not newer', () => {
    expect(patchResource(items, 'written', edge('b', 5))).toBe(items);
    expect(patchResource(items, 'written', edge('b', 2))).toBe(items);
  });

  it('appends what is new and takes out what is deleted', () => {
    expect(patchResource(items, 'written', edge('c', 1)).map((item) => item.metadata.name)).toEqual(['a', 'b', 'c']);
    expect(patchResource(items, 'deleted', edge('a', 9)).map((item) => item.metadata.name)).toEqual(['b']);
    expect(patchResource(items, 'deleted', edge('x', 9))).toBe(items);
  });

  it('takes a resource made anew under the same name, and a late deletion of the old one does not remove it', () => {
    const anew = edge('a', 1, { uid: 'another' });
    const patched = patchResource(items, 'written', anew);
    expect(patched[0]).toBe(anew);
    expect(patchResource(patched, 'deleted', edge('a', 9))).toBe(patched);
  });
});

describe('patchResources', () => {
  it('applies only the events of the wanted kind', () => {
    const events: ServerEvent[] = [
      { type: 'resource', action: 'written', resource: edge('a', 2) },
      { type: 'module', module: module('train', clock.ago(1)) },
    ];
    expect(patchResources([], 'Device', events)).toHaveLength(1);
    expect(patchResources([], 'Run', events)).toHaveLength(0);
  });
});

describe('growing lists', () => {
  const at = clock.ago(1);

  it('takes each metric point once', () => {
    const points = [{ metric: 'train/loss', step: 1, value: 2, at }];
    expect(appendPoints(points, [{ metric: 'train/loss', step: 1, value: 2, at }])).toBe(points);
    expect(appendPoints(points, [{ metric: 'train/loss', step: 2, value: 1, at }])).toHaveLength(2);
  });

  it('takes newer samples only, and forgets the oldest', () => {
    const samples = [sample(1000, 0), sample(2000, 0)];
    expect(appendSample(samples, sample(2000, 0))).toBe(samples);
    expect(appendSample(samples, sample(3000, 0), 2).map((entry) => Date.parse(entry.at))).toEqual([2000, 3000]);
  });

  it('replaces a module by its name', () => {
    const modules: Module[] = [module('train', at), module('import', at)];
    const patched = patchModule(modules, module('train', at, { state: 'restarting' }));
    expect(patched.map((entry) => [entry.name, entry.state])).toEqual([
      ['train', 'restarting'],
      ['import', 'healthy'],
    ]);
  });
});

describe('EventLog', () => {
  const event = (name: string): ServerEvent => ({ type: 'module', module: module(name, clock.ago(1)) });

  it('gives what came after a mark, also when older events were forgotten', () => {
    const log = new EventLog(3);
    log.push([event('a'), event('b')]);
    const mark = log.mark();
    log.push([event('c'), event('d')]);
    expect(log.since(mark).map((entry) => entry.type === 'module' && entry.module.name)).toEqual(['c', 'd']);
    expect(log.since(0)).toHaveLength(3);
    expect(log.since(log.mark())).toEqual([]);
  });
});

import type { MetricPoint, ServerEvent } from '@selvedge/contract';
import { QueryClient } from '@tanstack/react-query';
import { beforeEach, describe, expect, it } from 'vitest';
import { metricPoints, sample } from '../testing/fixture-curves.ts';
import { device, FixtureClock, model, modelVersion, module } from '../testing/fixture-resources.ts';
import { applyEvents, keys } from './cache.ts';
import type { ModelDetail } from './cached.ts';

const clock = new FixtureClock(1_790_000_000_000);

describe('applyEvents', () => {
  let cache: QueryClient;
  beforeEach(() => {
    cache = new QueryClient();
  });

  it('changes a list, the detail and the telemetry of a device by one event', () => {
    const old = device('edge-1', clock, 0, {});
    const telemetry = sample(clock.nowMs + 1000, 0);
    const fresh = { ...old, metadata: { ...old.metadata, resourceVersion: 2 }, status: { ...old.status, online: false, telemetry } };
    cache.setQueryData(keys.list('Device'), [old]);
    cache.setQueryData(keys.resource('Device', 'edge-1'), old);
    cache.setQueryData([...keys.telemetry('edge-1'), 1], [sample(clock.nowMs, 0)]);
    applyEvents(cache, [{ type: 'resource', action: 'written', resource: fresh }]);
    expect(cache.getQueryData(keys.list('Device'))).toEqual([fresh]);
    expect(cache.getQueryData(keys.resource('Device', 'edge-1'))).toEqual(fresh);
    expect(cache.getQueryData([...keys.telemetry('edge-1'), 1])).toHaveLength(2);
  });

  it('puts a new version of a model first', () => {
    const made = model('digits', clock.ago(9), ['1']);
    if (made.kind !== 'Model') throw new Error('the fixture makes a Model');
    const detail: ModelDetail = { model: made, versions: [modelVersion('digits', '1', clock.ago(9), 'r', 0.9, 0)] };
    cache.setQueryData(keys.model('digits'), detail);
    applyEvents(cache, [{ type: 'resource', action: 'written', resource: modelVersion('digits', '2', clock.ago(1), 'r', 0.95, 0) }]);
    expect(cache.getQueryData<ModelDetail>(keys.model('digits'))?.versions.map((version) => version.spec.version)).toEqual(['2', '1']);
  });

  it('appends metric points of the run that is looked at, and changes a module', () => {
    const points = metricPoints(2, clock.nowMs);
    cache.setQueryData(keys.runMetrics('r'), points.slice(0, 4));
    cache.setQueryData(keys.modules, [module('train', clock.ago(1))]);
    const events: ServerEvent[] = [
      { type: 'metric', run: 'r', points },
      { type: 'metric', run: 'another', points },
      { type: 'module', module: module('train', clock.ago(1), { state: 'unhealthy' }) },
    ];
    applyEvents(cache, events);
    expect(cache.getQueryData<MetricPoint[]>(keys.runMetrics('r'))).toEqual(points);
    expect(cache.getQueryData(keys.runMetrics('another'))).toBeUndefined();
    expect(cache.getQueryData(keys.modules)).toMatchObject([{ state: 'unhealthy' }]);
  });
});

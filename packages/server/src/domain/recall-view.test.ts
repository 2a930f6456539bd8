import type { Device, InferenceModel, ModelVersion } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { recallView } from './lineage.ts';

function version(model: string, number: string, dataset: { name: string; version: number } | null, parents: string[] = []): ModelVersion {
  const models = Object.fromEntries(parents.map((parent) => [parent, 'a'.repeat(64)]));
  const lineage = dataset === null ? null : { run: `${model}-${number}`, dataset, models };
  return { spec: { model, version: number, lineage } } as never;
}
function deployment(name: string, model: string, resolvedVersion: string, serving: Record<string, string | null>): InferenceModel {
  const devices = Object.entries(serving).map(([device, servingVersion]) => ({ device, servingVersion, state: 'serving' }));
  return { metadata: { name }, spec: { modelName: model }, status: { resolvedVersion, devices } } as never;
}
const device = (name: string, online: boolean): Device => ({ metadata: { name }, status: { online } }) as never;

const facts = {
  versions: [
    version('digits', '1', { name: 'digits', version: 1 }),
    version('digits', '2', { name: 'digits', version: 2 }),
    version('small', '1', { name: 'other', version: 1 }, ['digits:2']),
    version('small', '2', { name: 'other', version: 1 }),
  ],
  inferenceModels: [
    deployment('reader', 'digits', '1', { a: '1', b: '2' }),
    deployment('tiny', 'small', '1', { a: '1', c: null }),
    deployment('fine', 'small', '2', { b: '2' }),
  ],
  devices: [device('a', true), device('b', false), device('c', true)],
};

describe('recallView', () => {
  it('finds what was made from a dataset, also by way of another version, and who runs or asks for it', () => {
    const view = recallView({ dataset: 'digits', datasetVersion: 2 }, facts);
    expect(view.versions).toEqual([
      { model: 'digits', version: '2' },
      { model: 'small', version: '1' },
    ]);
    expect(view.deployments.map(({ name }) => name)).toEqual(['reader', 'tiny']);
    expect(view.devices.map(({ device: name, online, deployment: of, version: number }) => [name, online, of, number])).toEqual([
      ['b', false, 'reader', '2'],
      ['a', true, 'tiny', '1'],
    ]);
  });

  it('finds what a run made, and nothing for what nothing was made from', () => {
    expect(recallView({ run: 'digits-1' }, facts).versions).toEqual([{ model: 'digits', version: '1' }]);
    expect(recallView({ dataset: 'nobody' }, facts)).toEqual({ versions: [], deployments: [], devices: [] });
  });
});

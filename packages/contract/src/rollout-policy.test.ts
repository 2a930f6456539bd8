import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inferenceModelDocumentSchema } from './resources/inference-model.ts';
import { type DeviceCount, rolloutPolicyInputSchema, rolloutPolicySchema, waveFaults } from './rollout-policy.ts';

describe('waves', () => {
  const faults = (waves: DeviceCount[]) => waveFaults(waves).map(({ index, message }) => `${index}: ${message}`);

  it('that do not grow are refused with their place and what would be right', () => {
    expect(faults([10, 5])).toEqual(['1: must be more than 10 before it, because sizes are cumulative; for 5 more devices write 15']);
    expect(faults(['50%', '10%'])).toEqual(['1: must be more than 50% before it, because sizes are cumulative; for 10% more write 60%']);
    expect(faults(['60%', '50%'])[0]).toMatch(/leave it out: the last wave is completed to all$/);
    expect(faults(['100%', 5])).toHaveLength(1);
    expect(faults([5, 5])).toHaveLength(1);
    expect(faults([10, '50%', 5])).toEqual([expect.stringMatching(/^2: must be more than 10 /)]);
    const { error } = rolloutPolicyInputSchema.safeParse({ waves: [1, 10, 5] });
    expect(error?.issues[0]).toMatchObject({ path: ['waves', 2] });
  });

  it('of counts and shares are compared only where the answer is certain', () => {
    expect(faults([1, '10%', '100%'])).toEqual([]);
    expect(faults([50, '1%', 60, '2%', '100%'])).toEqual([]);
    expect(faults(['90%', 1])).toEqual([]);
  });

  it('that grow are taken whatever their kind', () => {
    const growing = (max: number) =>
      fc.uniqueArray(fc.integer({ min: 1, max }), { maxLength: 8 }).map((sizes) => sizes.sort((a, b) => a - b));
    fc.assert(
      fc.property(growing(1000), growing(99), (counts, shares) => {
        expect(waveFaults([...counts, ...shares.map((share) => `${share}%`)])).toEqual([]);
      }),
    );
  });

  it('are refused in a document, and read where they are kept from before', () => {
    const rollout = { waves: [10, 5] };
    const document = { apiVersion: 'selvedge.dev/v1alpha1', kind: 'InferenceModel', metadata: { name: 'digits' } };
    const spec = { modelName: 'digits', deployToLayer: 'edge', frameworkType: 'onnx', rollout };
    expect(inferenceModelDocumentSchema.safeParse({ ...document, spec }).error?.issues[0]?.path).toEqual(['spec', 'rollout', 'waves', 1]);
    expect(rolloutPolicySchema.safeParse(rollout).success).toBe(true);
  });
});

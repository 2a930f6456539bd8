import type { DesiredWorkload } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { givesUp, waysToServe } from './runtime-choice.ts';

const SHA = (digit: string) => digit.repeat(64);
const desired: DesiredWorkload = {
  name: 'w',
  kind: 'model-server',
  model: 'digits',
  version: '3',
  manifest: { sha256: SHA('a'), sizeBytes: 10 },
  servingPort: 0,
  native: {
    package: 'digits.3.linux-arm64.fp32',
    model: 'digits',
    version: '3',
    target: 'linux-arm64',
    archive: { sha256: SHA('b'), sizeBytes: 20 },
    manifestSha256: SHA('c'),
  },
};

describe('waysToServe', () => {
  it('prefers the native package of a target of the device', () => {
    const ways = waysToServe(desired, ['linux-arm64']);
    expect(ways.map(({ key, native }) => [key, native?.package])).toEqual([
      ['3-cccccccc', 'digits.3.linux-arm64.fp32'],
      ['3-aaaaaaaa', undefined],
    ]);
  });

  it('leaves the model server alone where the package is for another target, or there is none', () => {
    const { native: _, ...plain } = desired;
    for (const [workload, targets] of [
      [desired, ['linux-armv7']],
      [desired, []],
      [plain, ['linux-arm64']],
    ] as const) {
      expect(waysToServe(workload, targets).map(({ key }) => key)).toEqual(['3-aaaaaaaa']);
    }
  });
});

describe('givesUp', () => {
  it('gives a package up at once when it is at fault, after two tries when it may be, never for the network', () => {
    expect(givesUp('SIGNATURE_INVALID', 1)).toBe(true);
    expect(givesUp('WORKLOAD_FAILED', 1)).toBe(false);
    expect(givesUp('WORKLOAD_FAILED', 2)).toBe(true);
    expect(givesUp('SERVER_UNREACHABLE', 50)).toBe(false);
  });
});

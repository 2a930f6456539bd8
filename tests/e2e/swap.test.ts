import { expect, it } from 'vitest';
import { runSwaps } from '../bench/swap-run.ts';

it('swaps versions 50 times under load without a failed request, and its memory stays flat', async () => {
  const figures = await runSwaps({ swaps: 50, perSecond: 50, maxSeconds: 900 });
  expect(figures).toMatchObject({ swaps: 50, failed: 0, reasons: [] });
  expect(Object.keys(figures.answersByVersion).sort()).toEqual(['1', '2']);
  expect(figures.agentRssMiB.end - figures.agentRssMiB.begin).toBeLessThan(8);
}, 1_200_000);

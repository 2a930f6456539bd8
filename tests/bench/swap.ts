// `npm run bench:swap [-- --swaps 1000 --per-second 200 --max-seconds 7200]`: versions are swapped on a device while its serving port is
// asked at a steady pace. Failed requests (the bar is 0), latency, and the agent's memory.
import { parseArgs } from 'node:util';
import { runSwaps } from './swap-run.ts';

const { values } = parseArgs({
  options: {
    swaps: { type: 'string', default: '1000' },
    'per-second': { type: 'string', default: '200' },
    'max-seconds': { type: 'string', default: '7200' },
  },
});
const asked = Number(values.swaps);
const figures = await runSwaps({
  swaps: asked,
  perSecond: Number(values['per-second']),
  maxSeconds: Number(values['max-seconds']),
  onSwap: (swaps, seconds) => {
    if (swaps % 50 === 0) process.stderr.write(`${swaps} of ${asked} swaps after ${seconds.toFixed(0)} s\n`);
  },
});
process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);
if (figures.swaps < asked) process.stderr.write(`error: only ${figures.swaps} of ${asked} swaps in ${values['max-seconds']} s\n`);
process.exit(figures.failed === 0 && figures.swaps >= asked ? 0 : 1);

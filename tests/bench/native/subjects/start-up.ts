// From exec to the first result, and the largest memory on the way.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod';
import type { BenchContext, BuildPrecision } from '../bench-context.ts';
import { VGA } from '../bench-context.ts';
import { median } from '../peer.ts';
import { makeProgram } from '../peer-programs.ts';
import type { Row, Table } from '../report.ts';
import { pythonWords } from './speed.ts';

const run = promisify(execFile);
const RUNS = 15;
const startSchema = z.object({ ok: z.literal(true), ms: z.number(), rssKib: z.number(), faults: z.number(), faultUs: z.number() });
/** Of the detector. */
const BARS: Readonly<Record<BuildPrecision, { ms: number; mb: number }>> = { fp32: { ms: 30, mb: 40 }, int8: { ms: 15, mb: 18 } };

export async function startUp(context: BenchContext): Promise<Table> {
  const rows: Row[] = [];
  const timer = join(context.folder, 'exec-timer');
  await makeProgram(await context.target('linux-amd64'), 'exec_timer.cc', timer);
  const picture = await context.pictureFile(VGA);
  const measure = async (what: string, words: readonly string[], bar?: { ms: number; mb: number }, env: Record<string, string> = {}) => {
    const options = { env: { ...process.env, ...env }, maxBuffer: 1 << 24 };
    await run(timer, ['1', ...words], options); // fills the page cache
    const { stdout } = await run(timer, [String(RUNS), ...words], options);
    const starts = stdout
      .trim()
      .split('\n')
      .map((line) => startSchema.parse(JSON.parse(line)));
    const times = starts.map(({ ms }) => ms);
    const faults = median(starts.map((start) => start.faults));
    const faultMs = (faults * (starts[0]?.faultUs ?? 0)) / 1000;
    const range = `${Math.min(...times).toFixed(1)} to ${Math.max(...times).toFixed(1)}`;
    const note = `${range}; ${faults} page faults, which take ${faultMs.toFixed(1)} ms here`;
    rows.push({
      what: `${what}, first result`,
      measured: median(times),
      unit: 'ms',
      ...(bar && { bar: { is: '<=', value: bar.ms } }),
      note,
    });
    const mb = median(starts.map(({ rssKib }) => (rssKib * 1024) / 1e6));
    rows.push({ what: `${what}, memory`, measured: mb, unit: 'MB', ...(bar && { bar: { is: '<=', value: bar.mb } }) });
  };
  for (const network of context.networks) {
    for (const precision of ['fp32', 'int8'] as const) {
      const { folder } = await context.package(network, 'linux-amd64', precision);
      const bar = network.name === 'detector' ? BARS[precision] : undefined;
      await measure(`${network.name} ${precision}`, [join(folder, 'run'), '--input', picture], bar);
    }
    if (context.flags.quick) continue;
    const { folder } = await context.package(network, 'linux-amd64', 'fp32', 'onnxruntime');
    await measure(`${network.name}, engine onnxruntime`, [join(folder, 'run'), '--input', picture]);
    if (network.name !== 'detector') continue;
    const model = await context.onnxFile(await context.package(network, 'linux-amd64', 'fp32'));
    const { words, env } = await pythonWords(context, model, picture, 'once');
    await measure('detector, Python + OpenCV + ONNX Runtime', words, undefined, env);
  }
  const how = `run --input ${VGA.join('x')}.jpg: wall clock from exec to the first byte of the answer, page cache warm, median of ${RUNS}; largest resident memory`;
  return { subject: 'Start', how, rows };
}

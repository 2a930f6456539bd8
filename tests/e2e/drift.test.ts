import type { Run } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { join, TestDevice } from '../../packages/server/src/testing/device-client.ts';
import type { Product } from './harness/product.ts';
import { SMALL_PIPELINE } from './harness/small-pipeline.ts';
import { startTrained } from './harness/trained.ts';

const HOUR_MS = 3_600_000;
const SURE = [0, 0, 0, 0, 0, 0, 0, 0, 10, 90];
const UNSURE = [0, 0, 0, 30, 30, 30, 10, 0, 0, 0];
const DRIFT = { drift: { inferenceModel: 'digits', selector: 'line=a', windowS: 3600 }, debounceS: 0 };

let product: Product;
let device: TestDevice;
beforeAll(async () => {
  product = await startTrained();
});
afterAll(async () => {
  device?.client.end(true);
  await product?.stop();
});

/** What the device has kept while it was away: sure answers at first, unsure ones in the last hour. */
async function deliver(): Promise<void> {
  const port = Number(new URL(product.deviceUrl).port);
  const { token } = await product.cliJson<{ token: string }>(['device', 'token', '--label', 'line=a']);
  device = await TestDevice.connect(port, await join(port, token, 'cam-1'));
  const serving = { name: 'digits', model: 'digits', desiredVersion: '1', servingVersion: '1', previousVersion: null, state: 'serving' };
  await device.report([{ ...serving, port: 9000, progress: null, error: null, restarts: 0, servingSince: null }], 0);
  const beganMs = Date.now() - 5 * HOUR_MS;
  const results = Array.from({ length: 30 }, (_, at) => ({
    ...{ at: new Date(beganMs + at * 600_000).toISOString(), spanS: 600, workload: 'digits', model: 'digits', version: '1' },
    ...{ requests: 100, errors: 0, p50Ms: 1, p95Ms: 2, latency: [], confidence: at < 23 ? SURE : UNSURE, sequence: at + 1 },
  }));
  await device.publish('telemetry', { samples: [], results, spool: { id: 's1', first: 1, last: 30, waiting: 0 } });
}

async function apply(triggers: object[]): Promise<void> {
  const spec = { ...SMALL_PIPELINE, model: { ...SMALL_PIPELINE.model, name: 'again' }, triggers };
  const document = { apiVersion: 'selvedge.dev/v1alpha1', kind: 'Pipeline', metadata: { name: 'again' }, spec };
  const result = await product.cli(['apply', '-f', '-'], { input: JSON.stringify(document) });
  if (result.code !== 0) throw new Error(result.stderr);
}

async function runsBy(trigger: string): Promise<Run[]> {
  const { items } = await (await product.api()).listResources({ params: { plural: 'runs' }, query: {} });
  return items.flatMap((item) => (item.kind === 'Run' && item.spec.cause.trigger === trigger ? [item] : []));
}
const firstRunBy = (trigger: string) =>
  waitUntil(async () => (await runsBy(trigger))[0], { timeoutMs: 30_000, intervalMs: 50, what: `a run by ${trigger}` });

it('drift of what devices answer starts one run that says its numbers, and no second one when the server is killed over it', async () => {
  await deliver();
  await apply([DRIFT]);
  const run = await firstRunBy('drift');
  await product.server.kill('SIGKILL');
  expect(run.spec.cause).toMatchObject({ type: 'trigger', by: 'drift', events: 1 });
  expect(run.spec.cause.detail).toMatch(/^drift of digits:1 in "digits": confidences psi \d+\.\d+ above 0\.2 \(\d00 samples against 600\)/);
  await product.startServer();
  // By the time that this one has fired, the first one was looked at again.
  await apply([DRIFT, { ...DRIFT, name: 'second' }]);
  await firstRunBy('second');
  expect((await runsBy('drift')).map(({ metadata }) => metadata.name)).toEqual([run.metadata.name]);
  const listed = await product.cli(['trigger', 'list', '--pipeline', 'again']);
  expect(listed.stdout).toContain(
    'drift of digits on line=a: psi of confidence or classes above 0.2, last 1 h against the first 1 h of the version',
  );
});

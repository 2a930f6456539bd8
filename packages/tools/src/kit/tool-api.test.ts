import { once } from 'node:events';
import { symlink, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import {
  AppError,
  artifactSummarySchema,
  metricPointSchema,
  metricSeriesSchema,
  metricSummarySchema,
  problemSchema,
  toolDescriptionSchema,
  toolHealthSchema,
} from '@selvedge/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromBufferPromise } from 'yauzl';
import * as z from 'zod';
import { readRecords } from '../tensorboard/record-framing.ts';
import { TEST_TOKEN, ToolHarness } from '../testing/tool-harness.ts';
import { defineTool } from './define-tool.ts';

const harness = new ToolHarness();
afterAll(() => harness.end());

const gates = new EventTarget();
const open = (gate: string) => gates.dispatchEvent(new Event(gate));

/** Writes the files it is told to, and waits at a gate if told so. */
const writerTool = defineTool({
  name: 'writer',
  description: 'writes files',
  class: 'data',
  makes: 'text',
  parameters: z.strictObject({
    files: z.record(z.string(), z.string()).default({}),
    waitFor: z.string().optional(),
    fail: z.enum(['user', 'bug', 'disk']).optional(),
    link: z.string().optional(),
  }),
  inputs: { extra: { description: 'a folder', optional: true } },
  async create({ parameters, dataDir, signal, log, progress, metric }) {
    const { files, waitFor, fail, link } = parameters;
    log('begun');
    for (let step = 1; step <= 3; step += 1) metric('train/loss', step, 1 / step);
    metric('rate', 1, 0.5);
    if (waitFor !== undefined) {
      const waiting = once(gates, waitFor, { signal }).catch(() => signal.throwIfAborted());
      progress(0.5, 'at the gate');
      await waiting;
    }
    if (fail === 'user') throw new AppError('DATASET_FORMAT', { message: 'no good', hint: 'use another' });
    if (fail === 'bug') throw new TypeError('x is not a function');
    if (fail === 'disk') await writeFile('/dev/full', 'x'.repeat(10_000));
    for (const [path, content] of Object.entries(files)) await writeFile(join(dataDir, path), content);
    if (link !== undefined) await symlink(link, join(dataDir, 'link'));
  },
});

let tool: Awaited<ReturnType<typeof harness.serve>>;
beforeAll(async () => {
  tool = await harness.serve(writerTool);
});

/** GET without the clean-up of the path that fetch does. */
function getAsWritten(origin: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(origin);
    get({ hostname, port, path, headers: { authorization: `Bearer ${TEST_TOKEN}` } }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    }).on('error', reject);
  });
}

describe('authentication', () => {
  it.each(['Bearer wrong', 'Basic dXNlcjpwYXNz', 'Bearer', ''])('refuses %j on every route', async (authorization) => {
    for (const path of ['/', '/health', '/artifacts', '/artifacts/x/data', '/nowhere']) {
      const response = await tool.client.fetch(path, { headers: { authorization } });
      expect(response.status).toBe(401);
      expect(problemSchema.parse(await response.json()).code).toBe('UNAUTHENTICATED');
    }
  });
});

describe('description and health', () => {
  it('describes parameters as JSON Schema', async () => {
    const description = toolDescriptionSchema.parse(await tool.client.json('/'));
    expect(description).toMatchObject({ name: 'writer', makes: 'text', class: 'data', inputs: { extra: '(optional) a folder' } });
    expect(description.parameters).toMatchObject({ type: 'object', properties: { waitFor: { type: 'string' } } });
  });

  it('tells what it is busy with and how many wait', async () => {
    await tool.client.post({ name: 'busy', parameters: { waitFor: 'busy', files: { a: '1' } } });
    await tool.client.post({ name: 'behind', parameters: { files: { a: '1' } } });
    await tool.client.waitFor('busy', ['in-progress']);
    expect(toolHealthSchema.parse(await tool.client.json('/health'))).toEqual({ status: 'ok', busyWith: 'busy', queued: 1 });
    expect((await tool.client.status('behind')).status).toBe('queued');
    open('busy');
    await tool.client.waitFor('behind', ['completed']);
    expect(await tool.client.json('/health')).toEqual({ status: 'ok', busyWith: null, queued: 0 });
  });
});

describe('POST /artifacts', () => {
  it('accepts, names the place, and answers the same request with what there is', async () => {
    const request = { name: 'same', parameters: { files: { a: '1', b: '2' } } };
    const first = await tool.client.post(request);
    expect(first.status).toBe(202);
    expect(first.headers.get('location')).toBe('/artifacts/same/');
    expect(artifactSummarySchema.parse(await first.json())).toMatchObject({ name: 'same', type: 'text', tool: 'writer' });
    const again = await tool.client.post({ name: 'same', parameters: { files: { b: '2', a: '1' } } });
    expect(again.status).toBe(200);
    const other = await tool.client.post({ name: 'same', parameters: { files: { a: '2' } } });
    expect(other.status).toBe(409);
    expect(await other.json()).toMatchObject({ code: 'CONFLICT' });
  });

  it('makes one artifact of many equal requests at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => tool.client.post({ name: 'raced', parameters: { files: { a: '1' } } })),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 200, 200, 200, 200, 200, 200, 202]);
  });

  it.each([
    ['an unknown parameter', { name: 'bad', parameters: { colour: 'red' } }, 'parameters.colour'],
    ['a wrong type', { name: 'bad', parameters: { waitFor: 7 } }, 'parameters.waitFor'],
    ['an unknown input', { name: 'bad', parameters: {}, inputs: { other: { url: 'http://127.0.0.1/' } } }, 'inputs.other'],
    ['a scheme that is not http', { name: 'bad', parameters: {}, inputs: { extra: { url: 'file:///etc/passwd' } } }, 'inputs.extra.url'],
    ['a name that is a path', { name: '../bad', parameters: {} }, 'name'],
  ])('refuses %s and says where', async (_what, request, path) => {
    const response = await tool.client.post(request);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'INPUT_INVALID', issues: [{ path }] });
  });

  it('refuses bodies that are too large, not JSON, or of another kind', async () => {
    const post = (body: string, type: string) =>
      tool.client.fetch('/artifacts', { method: 'POST', headers: { 'content-type': type }, body });
    const large = await post(JSON.stringify({ name: 'x', parameters: { waitFor: 'x'.repeat(2_000_000) } }), 'application/json');
    expect([large.status, problemSchema.parse(await large.json()).code]).toEqual([413, 'PAYLOAD_TOO_LARGE']);
    const broken = await post('{', 'application/json');
    expect([broken.status, problemSchema.parse(await broken.json()).code]).toEqual([400, 'INPUT_INVALID']);
    const xml = await post('<a/>', 'application/xml');
    expect([xml.status, problemSchema.parse(await xml.json()).code]).toEqual([415, 'UNSUPPORTED_MEDIA']);
  });

  it('takes uploaded inputs in a multipart body', async () => {
    const form = () => {
      const data = new FormData();
      data.set('extra', new File(['hello'], '../../evil name.txt'));
      data.set('request', JSON.stringify({ name: 'uploaded', parameters: { files: { a: '1' } } }));
      return data;
    };
    expect((await tool.client.fetch('/artifacts', { method: 'POST', body: form() })).status).toBe(202);
    expect(await tool.client.json('/artifacts/uploaded/input-files')).toEqual({ items: [{ name: 'extra/evil_name.txt', sizeBytes: 5 }] });
    expect(await tool.client.text('/artifacts/uploaded/input-files/extra/evil_name.txt')).toBe('hello');
    expect((await tool.client.fetch('/artifacts', { method: 'POST', body: form() })).status).toBe(200);
    const other = form();
    other.set('extra', new File(['other'], 'evil name.txt'));
    expect((await tool.client.fetch('/artifacts', { method: 'POST', body: other })).status).toBe(409);
    expect((await tool.client.waitFor('uploaded', ['completed'])).error).toBeNull();
  });

  it('refuses a multipart body without a request, and leaves nothing behind', async () => {
    const data = new FormData();
    data.set('extra', new File(['hello'], 'a.txt'));
    const response = await tool.client.fetch('/artifacts', { method: 'POST', body: data });
    expect(await response.json()).toMatchObject({ code: 'INPUT_INVALID', issues: [{ path: 'request' }] });
  });
});

describe('a completed artifact', () => {
  beforeAll(async () => {
    expect((await tool.client.make({ name: 'one', parameters: { files: { 'a.txt': '0123456789' } } })).status).toBe('completed');
    await tool.client.make({ name: 'many', parameters: { files: { 'a.txt': 'first', 'b.json': '{}' }, link: '/etc/passwd' } });
  });

  it('is in the list and has a summary', async () => {
    const { items } = z.object({ items: z.array(artifactSummarySchema) }).parse(await tool.client.json('/artifacts'));
    expect(items.map((item) => item.name)).toEqual(expect.arrayContaining(['one', 'many']));
    expect(artifactSummarySchema.parse(await tool.client.json('/artifacts/one/')).state).toMatchObject({
      status: 'completed',
      progress: 1,
      attempt: 1,
    });
    expect(await tool.client.json('/artifacts/one/input-parameters')).toEqual({ files: { 'a.txt': '0123456789' } });
  });

  it('gives its single file as data, and ranges of it', async () => {
    const whole = await tool.client.fetch('/artifacts/one/data');
    expect(whole.headers.get('content-disposition')).toBe('attachment; filename="a.txt"');
    expect(await whole.text()).toBe('0123456789');
    const range = (value: string) => tool.client.fetch('/artifacts/one/data/a.txt', { headers: { range: value } });
    const middle = await range('bytes=2-4');
    expect([middle.status, middle.headers.get('content-range'), await middle.text()]).toEqual([206, 'bytes 2-4/10', '234']);
    expect(await (await range('bytes=7-')).text()).toBe('789');
    expect(await (await range('bytes=-2')).text()).toBe('89');
    expect(await (await range('bytes=0-99')).text()).toBe('0123456789');
    expect((await range('bytes=10-')).status).toBe(416);
    expect((await range('bytes=5-2')).status).toBe(200);
    expect((await range('lines=1-2')).status).toBe(200);
  });

  it('gives several files as a zip that is always the same, without links', async () => {
    const read = async () => Buffer.from(await (await tool.client.fetch('/artifacts/many/data')).arrayBuffer());
    const bytes = await read();
    expect((await read()).equals(bytes)).toBe(true);
    const names: string[] = [];
    for await (const entry of (await fromBufferPromise(bytes)).eachEntry()) names.push(entry.fileName);
    expect(names).toEqual(['a.txt', 'b.json']);
    expect(await tool.client.json('/artifacts/many/files')).toEqual({
      items: [
        { path: 'a.txt', sizeBytes: 5 },
        { path: 'b.json', sizeBytes: 2 },
      ],
    });
  });

  it.each([
    '../status',
    '..%2Fstatus',
    '%2e%2e/status',
    '../../one/status',
    '/etc/passwd',
    '%2Fetc%2Fpasswd',
    'link',
    'no/such',
    'a.txt/x',
    '%00',
  ])('does not give a file for %j', async (path) => {
    const { status, body } = await getAsWritten(`${tool.url}`, `/artifacts/many/data/${path}`);
    expect([400, 404]).toContain(status);
    expect(body).toMatch(/"code":"(NOT_FOUND|INPUT_INVALID)"/);
  });

  it('gives its log', async () => {
    const log = await tool.client.text('/artifacts/one/log');
    expect(log).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z writer: attempt 1\n/);
    expect(log).toContain(' begun\n');
    expect(await tool.client.text('/artifacts/one/log?follow=1')).toBe(log);
  });

  it('gives its metrics as points and as a table', async () => {
    expect(await tool.client.json('/artifacts/one/metrics')).toEqual({ items: ['rate', 'train/loss'] });
    const lines = (await tool.client.text('/artifacts/one/metrics/train.loss/points')).trim().split('\n');
    expect(lines.map((line) => metricPointSchema.parse(JSON.parse(line)))).toMatchObject([
      { metric: 'train/loss', step: 1, value: 1 },
      { step: 2, value: 0.5 },
      { step: 3 },
    ]);
    expect((await tool.client.text('/artifacts/one/metrics/train.loss/points?after=2')).trim()).toBe(lines[2]);
    expect(await tool.client.json('/artifacts/one/metrics/train.loss/latest')).toMatchObject({ step: 3 });
    expect(await tool.client.text('/artifacts/one/metrics/train.loss/csv')).toMatch(/^step,value,at\n1,1,\d{4}.*\n2,0.5,/);
    for (const path of ['none/points', 'train.loss/graph', '..%2Fstatus/points']) {
      expect((await tool.client.fetch(`/artifacts/one/metrics/${path}`)).status).toBe(404);
    }
    for (const query of ['points?after=x', 'series?max=2', 'summary?best=middle'])
      expect((await tool.client.fetch(`/artifacts/one/metrics/rate/${query}`)).status).toBe(400);
  });

  it('gives its metrics as a series, a summary and a TensorBoard file', async () => {
    const view = (name: string) => tool.client.json(`/artifacts/one/metrics/train.loss/${name}`);
    const series = metricSeriesSchema.parse(await view('series'));
    expect([series.steps, series.values]).toEqual([
      [1, 2, 3],
      [1, 0.5, 1 / 3],
    ]);
    expect(metricSeriesSchema.parse(await view('series?max=3')).steps).toEqual([1, 2, 3]);
    const summary = metricSummarySchema.parse(await view('summary'));
    expect(summary).toEqual({
      metric: 'train/loss',
      count: 3,
      min: { step: 3, value: 1 / 3 },
      max: { step: 1, value: 1 },
      mean: expect.closeTo(11 / 18),
      last: { step: 3, value: 1 / 3 },
      best: { step: 3, value: 1 / 3, is: 'min' },
    });
    expect(await view('summary?best=max')).toMatchObject({ best: { step: 1, is: 'max' } });
    const bytes = Buffer.from(await (await tool.client.fetch('/artifacts/one/metrics/train.loss/tensorboard')).arrayBuffer());
    expect(readRecords(bytes)).toMatchObject({ records: { length: 4 }, validBytes: bytes.length });
  });

  it('stays when it is cancelled, and goes when it is deleted', async () => {
    await tool.client.make({ name: 'gone', parameters: { files: { a: '1' } } });
    expect((await tool.client.fetch('/artifacts/gone/cancel', { method: 'POST' })).status).toBe(202);
    expect((await tool.client.status('gone')).status).toBe('completed');
    expect((await tool.client.fetch('/artifacts/gone/', { method: 'DELETE' })).status).toBe(204);
    expect((await tool.client.fetch('/artifacts/gone/', { method: 'DELETE' })).status).toBe(404);
    expect((await tool.client.fetch('/artifacts/gone/status')).status).toBe(404);
  });
});

describe('an artifact in the making', () => {
  it('shows progress, streams its log, and has no data yet', async () => {
    await tool.client.post({ name: 'slow', parameters: { waitFor: 'slow', files: { a: '1' } } });
    await tool.client.waitFor('slow', ['in-progress']);
    const log = await tool.client.fetch('/artifacts/slow/log?follow=1');
    const reader = log.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes('begun')) text += (await reader?.read())?.value ?? '';
    expect(text).not.toContain('completed');
    expect((await tool.client.status('slow')).message).toBe('at the gate');
    const data = await tool.client.fetch('/artifacts/slow/data');
    expect([data.status, problemSchema.parse(await data.json()).code]).toEqual([409, 'CONFLICT']);
    open('slow');
    for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) text += part.value;
    expect(text).toContain('completed');
  });

  it('can be cancelled, and deleted, while it runs and while it waits', async () => {
    await tool.client.post({ name: 'running', parameters: { waitFor: 'never' } });
    await tool.client.post({ name: 'waiting', parameters: { waitFor: 'never' } });
    await tool.client.post({ name: 'dropped', parameters: { waitFor: 'never' } });
    await tool.client.waitFor('running', ['in-progress']);
    await tool.client.fetch('/artifacts/waiting/cancel', { method: 'POST' });
    expect(await tool.client.status('waiting')).toMatchObject({ status: 'cancelled', attempt: 0, error: null });
    await tool.client.fetch('/artifacts/running/cancel', { method: 'POST' });
    expect(await tool.client.status('running')).toMatchObject({ status: 'cancelled', attempt: 1 });
    await tool.client.waitFor('dropped', ['in-progress']);
    expect((await tool.client.fetch('/artifacts/dropped/', { method: 'DELETE' })).status).toBe(204);
    expect(await tool.client.json('/health')).toEqual({ status: 'ok', busyWith: null, queued: 0 });
  });
});

describe('a failed artifact', () => {
  it('tells code, message and hint of a user error, without a stack', async () => {
    const status = await tool.client.make({ name: 'refused', parameters: { fail: 'user', files: { a: '1' } } });
    expect(status).toMatchObject({ status: 'failed', error: { code: 'DATASET_FORMAT', message: 'no good', hint: 'use another' } });
    const log = await tool.client.text('/artifacts/refused/log');
    expect(log).toContain('DATASET_FORMAT: no good');
    expect(log).not.toContain('    at ');
    expect((await tool.client.fetch('/artifacts/refused/files')).status).toBe(409);
  });

  it('has the stack of a bug in its log', async () => {
    const status = await tool.client.make({ name: 'broken', parameters: { fail: 'bug' } });
    expect(status.error).toMatchObject({ code: 'INTERNAL' });
    expect(await tool.client.text('/artifacts/broken/log')).toMatch(/x is not a function\n.*\s+at /);
  });

  it('says that the disk is full', async () => {
    expect((await tool.client.make({ name: 'full', parameters: { fail: 'disk' } })).error).toMatchObject({ code: 'DISK_FULL' });
  });

  it('is what a tool becomes that leaves nothing', async () => {
    expect((await tool.client.make({ name: 'empty' })).error).toMatchObject({ code: 'INTERNAL' });
  });
});

describe('a data folder', () => {
  it('is for one tool at a time: another one waits until it is given free', async () => {
    const first = await harness.serve(writerTool);
    const again = (signal: AbortSignal) => harness.serve(writerTool, { dataDir: first.dataDir, signal });
    await expect(again(AbortSignal.abort(new Error('not waited for')))).rejects.toThrow('not waited for');
    const waiting = again(new AbortController().signal);
    await first.stop();
    expect(await (await waiting).client.json('/health')).toMatchObject({ status: 'ok' });
  });
});

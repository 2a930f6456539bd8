import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@selvedge/runtime';
import * as fc from 'fast-check';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makePackage, writePackage } from '../testing/make-package.ts';
import { type ServedPackage, servePackage } from './serve-package.ts';

const log = createLogger({ name: 'test', write: () => undefined });
let folder: string;
let served: ServedPackage;
let url: string;

const green = () =>
  sharp({ create: { width: 20, height: 10, channels: 3, background: '#10f020' } })
    .jpeg()
    .toBuffer();
const tensor = (data: unknown, shape = [1, 3, 4, 4]) => ({ inputs: [{ name: 'input', shape, datatype: 'FP32', data }] });
const post = (path: string, body: string | Uint8Array<ArrayBuffer>, type = 'application/json') =>
  fetch(`${url}${path}`, { method: 'POST', body, headers: { 'content-type': type } });

/** Sends raw bytes and returns what comes back until the server closes. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(served.port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-model-'));
  await writePackage(folder, makePackage());
  served = await servePackage({ folder, port: 0, log });
  await served.ready;
  url = `http://127.0.0.1:${served.port}`;
});
afterAll(async () => {
  served.server.close();
  await rm(folder, { recursive: true });
});

describe('Open Inference Protocol v2', () => {
  it('describes server, health and model', async () => {
    expect(await (await fetch(`${url}/v2`)).json()).toMatchObject({ name: 'selvedge-model-server', extensions: ['binary_tensor_data'] });
    for (const path of ['/v2/health/live', '/v2/health/ready', '/v2/models/colours/ready', '/v2/models/colours/versions/1/ready'])
      expect((await fetch(url + path)).status, path).toBe(200);
    expect(await (await fetch(`${url}/v2/models/colours`)).json()).toEqual({
      name: 'colours',
      versions: ['1'],
      platform: 'onnx_onnxruntime',
      inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, 3, 4, 4] }],
      outputs: [{ name: 'scores', datatype: 'FP32', shape: [-1, 3] }],
    });
  });

  it('infers flat and nested tensors and keeps the id', async () => {
    const flat = Array.from({ length: 48 }, (_, index) => (index < 16 ? 0.5 : 0.25));
    const nested = [[0.5, 0.25, 0.25].map((value) => Array.from({ length: 4 }, () => Array(4).fill(value)))];
    for (const data of [flat, nested]) {
      const response = await post('/v2/models/colours/infer', JSON.stringify({ id: 'x1', ...tensor(data) }));
      expect(await response.json()).toEqual({
        model_name: 'colours',
        model_version: '1',
        id: 'x1',
        outputs: [{ name: 'scores', datatype: 'FP32', shape: [1, 3], data: [0.5, 0.25, 0.25] }],
      });
    }
  });

  it('answers a bad request with 400 and the reason', async () => {
    const bad: [string, RegExp][] = [
      ['{', /not valid JSON/],
      ['{}', /inputs/],
      [JSON.stringify(tensor([1, 2])), /needs 48 values and has 2/],
      [JSON.stringify(tensor(Array(48).fill('a'))), /not a FP32/],
      [JSON.stringify(tensor(Array(12).fill(1), [1, 3, 2, 2])), /takes float32 \[\?, 3, 4, 4\]/],
      [JSON.stringify({ inputs: [{ ...tensor(Array(48).fill(1)).inputs[0], name: 'other' }] }), /input/],
      [JSON.stringify({ ...tensor(Array(48).fill(1)), outputs: [{ name: 'nothing' }] }), /no output "nothing"/],
      [JSON.stringify(tensor(JSON.parse(`${'['.repeat(1000)}${']'.repeat(1000)}`))), /nested too deeply/],
    ];
    for (const [body, reason] of bad) {
      const response = await post('/v2/models/colours/infer', body);
      expect(response.status, body.slice(0, 80)).toBe(400);
      expect(((await response.json()) as { error: string }).error).toMatch(reason);
    }
  });

  it('does not know other models, versions, paths and methods', async () => {
    for (const path of ['/v2/models/other', '/v2/models/colours/versions/2', '/nothing', '/v2/models/../../etc/passwd'])
      expect((await fetch(url + path)).status, path).toBe(404);
    expect((await fetch(`${url}/v2/models/colours/infer`)).headers.get('allow')).toBe('POST');
  });

  it('survives any division of a binary body', async () => {
    const whole = Buffer.from(JSON.stringify(tensor([1])));
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.nat(400).map(String), fc.stringMatching(/^[ -~]{1,8}$/)),
        fc.uint8Array({ maxLength: 100 }),
        async (length, bytes) => {
          const body = new Uint8Array(Buffer.concat([whole, bytes]));
          const headers = { 'inference-header-content-length': length };
          const response = await fetch(`${url}/v2/models/colours/infer`, { method: 'POST', body, headers });
          expect(response.status).toBe(400);
          await response.arrayBuffer();
        },
      ),
      { numRuns: 50 },
    );
  });

  it('survives any body', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.json().map((text) => Buffer.from(text)),
        ),
        async (bytes) => {
          const response = await post('/v2/models/colours/infer', Buffer.from(bytes));
          expect(response.status).toBe(400);
          expect(typeof ((await response.json()) as { error: string }).error).toBe('string');
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('POST /v1/infer', () => {
  it('answers a picture with the post-processed result', async () => {
    for (const type of ['image/jpeg', 'application/octet-stream']) {
      const body = (await (await post('/v1/infer', await green(), type)).json()) as Record<string, unknown>;
      expect(body).toMatchObject({ model: 'colours', version: '1', result: { top: { label: 'green' } } });
      expect(body.latencyMs).toBeGreaterThan(0);
    }
  });

  it('refuses what is not a picture, with its error code', async () => {
    const text = await post('/v1/infer', 'hello', 'image/png');
    expect(text.status).toBe(422);
    expect(await text.json()).toMatchObject({ code: 'IMAGE_UNREADABLE' });
    const type = await post('/v1/infer', 'hello', 'text/html');
    expect(type.status).toBe(415);
    const whole = await green();
    const cut = whole.subarray(0, Math.floor(whole.length / 2));
    expect((await post('/v1/infer', cut, 'image/jpeg')).status).toBe(422);
  });

  it('refuses a body beyond the limit, declared or not', async () => {
    const declared = await raw('POST /v1/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nabc');
    expect(declared).toMatch(/^HTTP\/1.1 413/);
    const chunk = `${(1024 * 1024).toString(16)}\r\n${'a'.repeat(1024 * 1024)}\r\n`;
    const chunked = await raw(`POST /v1/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(17)}0\r\n\r\n`);
    expect(chunked).toMatch(/^HTTP\/1.1 413/);
  });

  it('answers 429 when its queue is full, and goes on', async () => {
    const body = await green();
    const answers = await Promise.all(Array.from({ length: 80 }, () => post('/v1/infer', body, 'image/jpeg')));
    const statuses = answers.map((answer) => answer.status);
    await Promise.all(answers.map((answer) => answer.arrayBuffer()));
    expect(statuses.every((status) => status === 200 || status === 429)).toBe(true);
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(32);
    const refused = answers.find((answer) => answer.status === 429);
    if (refused) expect(refused.headers.get('retry-after')).toBe('1');
    expect((await post('/v1/infer', body, 'image/jpeg')).status).toBe(200);
  });
});

describe('hostile connections', () => {
  it('answers 400 to what is not HTTP, to smuggling and to endless headers', async () => {
    expect(await raw('\x16\x03\x01 hello\r\n\r\n')).toMatch(/^HTTP\/1.1 400/);
    expect(await raw('POST /v1/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')).toMatch(
      /^HTTP\/1.1 400/,
    );
    expect(await raw(`GET /v2 HTTP/1.1\r\nX: ${'a'.repeat(40_000)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 (400|431)/);
  });

  it('counts requests, errors and latency', async () => {
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toMatch(/selvedge_model_requests_total\{model="colours",version="1",status="200"\} \d+/);
    expect(text).toMatch(/selvedge_model_latency_seconds_bucket\{model="colours",version="1",le="\+Inf"\} \d+/);
  });
});

describe('servePackage', () => {
  it('never serves a changed model file', async () => {
    const bad = await mkdtemp(join(tmpdir(), 'selvedge-model-'));
    await writePackage(bad, makePackage());
    const other = makePackage({ gain: 2 });
    await writeFile(join(bad, 'model.onnx'), other.blobs.get(other.manifest.files[0]!.sha256)!);
    await expect(servePackage({ folder: bad, port: 0, log })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    await rm(bad, { recursive: true });
  });

  it('fails its self-test when the model computes something else than on the server', async () => {
    const bad = await mkdtemp(join(tmpdir(), 'selvedge-model-'));
    await writePackage(bad, makePackage({ badGolden: true }));
    const broken = await servePackage({ folder: bad, port: 0, log });
    await expect(broken.ready).rejects.toMatchObject({ code: 'WORKLOAD_FAILED' });
    expect((await fetch(`http://127.0.0.1:${broken.port}/v2/health/ready`)).status).toBe(503);
    broken.server.close();
    await rm(bad, { recursive: true });
  });
});

import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LATENCY_BOUNDS_MS, total, trafficSince } from '../../../packages/agent/src/domain/histogram.ts';
import { parseClassCounts, parseModelMetrics } from '../../../packages/agent/src/domain/model-metrics.ts';
import { raw, tensor, VALUES } from './fake-server.ts';

export interface ServerUnderTest {
  port: number;
  close: () => Promise<void>;
}

const INFER = '/v2/models/colours/infer';

/**
 * What every model server answers, whatever it is written in. Each serves "colours": input [1, 3, 4, 4], scores = mean of each
 * channel; the picture is a green JPEG.
 */
export function modelServerConformance(name: string, start: () => Promise<ServerUnderTest>, greenJpeg: () => Promise<Buffer>): void {
  describe(`model server: ${name}`, () => {
    let server: ServerUnderTest;
    let url: string;
    const post = (path: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
      fetch(`${url}${path}`, { method: 'POST', body, headers });
    const postBinary = (json: unknown, tensors: Buffer, length?: string) => {
      const header = Buffer.from(JSON.stringify(json));
      const body = new Uint8Array(Buffer.concat([header, tensors]));
      return post(INFER, body, { 'inference-header-content-length': length ?? String(header.length) });
    };
    const reasonOf = async (response: Response) => String(JSON.parse(await response.text()).error);

    beforeAll(async () => {
      server = await start();
      url = `http://127.0.0.1:${server.port}`;
    });
    afterAll(() => server.close());

    it('describes server, health and model', async () => {
      expect(await (await fetch(`${url}/v2`)).json()).toMatchObject({ name: 'selvedge-model-server', version: '0.1.0' });
      expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: 'ok', model: 'colours', version: '1' });
      expect(await (await fetch(`${url}/v2/health/live`)).json()).toEqual({ live: true });
      for (const path of ['/v2/health/ready', '/v2/models/colours/ready', '/v2/models/colours/versions/1/ready'])
        expect(await (await fetch(url + path)).json(), path).toEqual({ ready: true, name: 'colours' });
      expect(await (await fetch(`${url}/v2/models/colours?x=1`)).json()).toMatchObject({
        name: 'colours',
        versions: ['1'],
        platform: 'onnx_onnxruntime',
        inputs: [{ name: 'input', datatype: 'FP32' }],
        outputs: [{ name: 'scores', datatype: 'FP32' }],
      });
      const head = await fetch(`${url}/health`, { method: 'HEAD' });
      expect([head.status, await head.text()]).toEqual([200, '']);
      expect(Number(head.headers.get('content-length'))).toBeGreaterThan(20);
    });

    it('infers flat and nested tensors and keeps the id', async () => {
      const nested = [[0.5, 0.25, 0.25].map((value) => Array.from({ length: 4 }, () => Array(4).fill(value)))];
      for (const data of [VALUES, nested]) {
        const response = await post(INFER, JSON.stringify({ id: 'x1 "ü"', ...tensor(data) }));
        expect(await response.json()).toEqual({
          model_name: 'colours',
          model_version: '1',
          id: 'x1 "ü"',
          outputs: [{ name: 'scores', datatype: 'FP32', shape: [1, 3], data: [0.5, 0.25, 0.25] }],
        });
      }
    });

    it('answers a bad request with 400 and the reason', async () => {
      const ones = Array(48).fill(1);
      const bad: [string, RegExp][] = [
        ['{', /not valid JSON/],
        ['{}', /inputs/],
        ['{"inputs":{}}', /inputs/],
        [JSON.stringify({ inputs: [{ name: 'input', shape: [-1], datatype: 'FP32', data: [] }] }), /shape/],
        [JSON.stringify({ inputs: [{ name: 'input', shape: [1.5], datatype: 'FP32', data: [] }] }), /shape/],
        [JSON.stringify({ inputs: [{ name: 'input', shape: [1], datatype: 'FP64', data: [1] }] }), /datatype/],
        [JSON.stringify(tensor([1, 2])), /needs 48 values and has 2/],
        [JSON.stringify(tensor(Array(48).fill('a'))), /not a FP32/],
        [JSON.stringify(tensor(Array(48).fill(true))), /not a FP32/],
        [JSON.stringify(tensor(Array(12).fill(1), [1, 3, 2, 2])), /takes float32 \[.*3, 4, 4\]/],
        [JSON.stringify({ inputs: [{ ...tensor(ones).inputs[0], name: 'other' }] }), /input/],
        [JSON.stringify({ ...tensor(ones), outputs: [{ name: 'nothing' }] }), /no output "nothing"/],
        [JSON.stringify(tensor(JSON.parse(`${'['.repeat(1000)}${']'.repeat(1000)}`))), /nested too deeply/],
      ];
      for (const [body, reason] of bad) {
        const response = await post(INFER, body);
        expect(response.status, body.slice(0, 80)).toBe(400);
        expect(await reasonOf(response)).toMatch(reason);
      }
    });

    it('does not know other models, versions, paths and methods', async () => {
      for (const path of ['/v2/models/other', '/v2/models/colours/versions/2', '/nothing', '/v2/models/../../etc/passwd'])
        expect((await fetch(url + path)).status, path).toBe(404);
      expect(await (await fetch(`${url}/nothing`)).json()).toMatchObject({
        code: 'NOT_FOUND',
        status: 404,
        kind: 'user',
        retryable: false,
      });
      for (const method of ['GET', 'OPTIONS', 'PUT', 'DELETE']) {
        const response = await fetch(url + INFER, { method });
        expect([400, 405]).toContain(response.status);
        expect(response.headers.get('allow')).toBe('POST');
      }
    });

    it('takes and gives tensors in binary', async () => {
      const values = Buffer.from(Float32Array.from(VALUES).buffer);
      const input = { name: 'input', shape: [1, 3, 4, 4], datatype: 'FP32', parameters: { binary_data_size: values.length } };
      const answer = await postBinary({ id: 'x2', inputs: [input] }, values);
      expect(await answer.json()).toMatchObject({ id: 'x2', outputs: [{ name: 'scores', data: [0.5, 0.25, 0.25] }] });
      const asked = [
        { inputs: [input], outputs: [{ name: 'scores', parameters: { binary_data: true } }] },
        { inputs: [input], parameters: { binary_data_output: true } },
      ];
      for (const request of asked) {
        const response = await postBinary(request, values);
        const body = Buffer.from(await response.arrayBuffer());
        const length = Number(response.headers.get('inference-header-content-length'));
        expect(response.headers.get('content-type')).toBe('application/octet-stream');
        expect(JSON.parse(body.subarray(0, length).toString())).toEqual({
          model_name: 'colours',
          model_version: '1',
          outputs: [{ name: 'scores', datatype: 'FP32', shape: [1, 3], parameters: { binary_data_size: 12 } }],
        });
        expect([0, 4, 8].map((at) => body.readFloatLE(length + at))).toEqual([0.5, 0.25, 0.25]);
      }
    });

    it('answers a bad binary request with 400 and the reason', async () => {
      const input = (size?: number, more = {}) => ({
        inputs: [{ name: 'input', shape: [1, 3, 4, 4], datatype: 'FP32', parameters: { binary_data_size: size }, ...more }],
      });
      const bad: [unknown, number, RegExp, string?][] = [
        [input(192), 100, /body ends before the 192 bytes/],
        [input(191), 191, /needs 192 bytes and has 191/],
        [input(192), 193, /1 bytes behind the JSON belong to no input/],
        [input(192, { data: [1] }), 192, /either in JSON or behind it/],
        [input(), 192, /either in JSON or behind it/],
        [input(192), 192, /not a length within the body/, '999999'],
        [input(192), 192, /not a length within the body/, '-1'],
        [input(192), 192, /not valid JSON/, '3'],
      ];
      for (const [json, bytes, reason, length] of bad) {
        const response = await postBinary(json, Buffer.alloc(bytes), length);
        expect(response.status, String(reason)).toBe(400);
        expect(await reasonOf(response)).toMatch(reason);
      }
    });

    it('survives any body', async () => {
      const anyBody = fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.json().map((text) => Buffer.from(text)),
        fc.json({ maxDepth: 4 }).map((text) => Buffer.from(`{"inputs":[${text}]}`)),
      );
      await fc.assert(
        fc.asyncProperty(anyBody, fc.option(fc.nat(200)), async (bytes, length) => {
          const headers: Record<string, string> = length === null ? {} : { 'inference-header-content-length': String(length) };
          const response = await post(INFER, new Uint8Array(bytes), headers);
          expect(response.status).toBe(400);
          expect(typeof (await reasonOf(response))).toBe('string');
        }),
        { numRuns: 150 },
      );
    });

    it('answers a picture with the result, and refuses what is none', async () => {
      const green = new Uint8Array(await greenJpeg());
      for (const type of ['image/jpeg', 'application/octet-stream; x=y', 'IMAGE/JPEG']) {
        const body = JSON.parse(await (await post('/v1/infer', green, { 'content-type': type })).text());
        expect(body, type).toMatchObject({ model: 'colours', version: '1', result: { top: { label: 'green' } } });
        expect(body.latencyMs).toBeGreaterThan(0);
      }
      const text = await post('/v1/infer', 'hello', { 'content-type': 'image/png' });
      expect([text.status, text.headers.get('content-type')]).toEqual([422, 'application/problem+json']);
      expect(await text.json()).toMatchObject({ code: 'IMAGE_UNREADABLE', status: 422 });
      expect((await post('/v1/infer', 'hello', { 'content-type': 'text/html' })).status).toBe(415);
      expect((await post('/v1/infer', green.slice(0, green.length / 2), { 'content-type': 'image/jpeg' })).status).toBe(422);
    });

    it('refuses a body beyond the limit, declared or not', async () => {
      const declared = await raw(server.port, 'POST /v1/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nabc');
      expect(declared).toMatch(/^HTTP\/1.1 413/);
      const chunk = `${(1024 * 1024).toString(16)}\r\n${'a'.repeat(1024 * 1024)}\r\n`;
      const chunked = `POST /v1/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(17)}0\r\n\r\n`;
      expect(await raw(server.port, chunked)).toMatch(/^HTTP\/1.1 413/);
    });

    it('answers 400 to what is not HTTP, to smuggling and to endless headers', async () => {
      const post3 = 'POST /v1/infer HTTP/1.1\r\nHost: x\r\n';
      const bad = [
        '\x16\x03\x01 hello\r\n\r\n',
        `${post3}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
        `${post3}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
        `${post3}Content-Length: -3\r\n\r\nabc`,
        `${post3}Content-Length: 3x\r\n\r\nabc`,
        `${post3}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
        `${post3}Transfer-Encoding: gzip\r\n\r\n`,
        'GET /v2 HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n',
        'GET /v2 HTTP/1.1\r\n\r\n',
        `GET /v2 HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(40_000)}\r\n\r\n`,
      ];
      for (const bytes of bad) expect(await raw(server.port, bytes), bytes.slice(0, 100)).toMatch(/^HTTP\/1.1 (400|431)/);
    });

    it('counts requests, errors and latency', async () => {
      const text = await (await fetch(`${url}/metrics`)).text();
      expect(text).toMatch(/selvedge_model_requests_total\{model="colours",version="1",status="200"\} \d+/);
      expect(text).toMatch(/selvedge_model_requests_total\{model="colours",version="1",status="400"\} \d+/);
      expect(text).toMatch(/selvedge_model_latency_seconds_bucket\{model="colours",version="1",le="\+Inf"\} \d+/);
      expect(text).toMatch(/selvedge_model_resident_memory_bytes\{model="colours",version="1"\} \d+/);
    });

    it('counts how sure it was and what came first, by the bounds of all', async () => {
      const page = async () => (await fetch(`${url}/metrics`)).text();
      const green = new Uint8Array(await greenJpeg());
      const before = await page();
      for (let count = 0; count < 3; count += 1) await (await post('/v1/infer', green, { 'content-type': 'image/jpeg' })).arrayBuffer();
      const after = await page();
      const more = trafficSince(parseModelMetrics(before), parseModelMetrics(after));
      expect(more).toMatchObject({ requests: 3, errors: 0 });
      expect(more.latencyMs?.bounds).toEqual(LATENCY_BOUNDS_MS.map((bound) => (bound / 1000) * 1000));
      expect(total(more.latencyMs?.counts ?? [])).toBe(3);
      expect(total(more.confidence ?? [])).toBe(3);
      expect(more.confidenceSum).toBeGreaterThan(0);
      expect((parseClassCounts(after).get('green') ?? 0) - (parseClassCounts(before).get('green') ?? 0)).toBe(3);
      expect(after).toMatch(/selvedge_model_confidence_bucket\{model="colours",version="1",le="\+Inf"\} \d+/);
    });
  });
}

// The Deploy Module as a container: built and run by a real Docker engine, it builds an ARMv7 package with nothing but
// what is in its image.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ArtifactStatus, artifactStatusSchema, buildReportSchema } from '@selvedge/contract';
import { buildNetwork, inspectModel, writeModel } from '@selvedge/graph/onnx';
import { freePort, sha256Hex, waitUntil } from '@selvedge/runtime';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeNodeImage } from './harness/base-images.ts';
import { DockerEngine } from './harness/docker-engine.ts';

const ROOT = join(import.meta.dirname, '../..');
const TOKEN = 'a-token-of-the-image-test';
const run = promisify(execFile);
const model = buildNetwork({ layers: 'small-cnn', inputShape: [1, 28, 28], classes: 10, seed: 1 });
const bytes = Buffer.from(writeModel(model));

let engine: DockerEngine;
let files: Server;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-image-'));
  files = createServer((_request, response) => response.end(bytes));
  await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve));
  engine = await DockerEngine.start();
  await makeNodeImage(engine, 'local/node:20');
  const args = ['--build-arg', 'BASE=local/node:20', '--build-arg', 'TARGETS=linux-armv7', '--network=host'];
  await engine.docker('build', '-q', '-f', join(ROOT, 'deploy/build-tool/Dockerfile'), ...args, '-t', 'selvedge-build', ROOT);
});
afterAll(async () => {
  await engine?.stop();
  files?.close();
  await rm(folder, { recursive: true, force: true });
});

it('builds a package for linux-armv7 inside a container that runs as an ordinary user', async () => {
  const port = await freePort();
  const origin = `http://127.0.0.1:${(files.address() as AddressInfo).port}`;
  const env = ['-e', `SELVEDGE_TOOL_TOKEN=${TOKEN}`, '-e', `SELVEDGE_TRUSTED_ORIGINS=${origin}`];
  const id = await engine.docker('run', '-d', '--network=host', ...env, 'selvedge-build', '--port', String(port));
  const call = (path: string, init: RequestInit = {}) =>
    fetch(`http://127.0.0.1:${port}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    });
  await waitUntil(
    () =>
      call('/health').then(
        ({ ok }) => ok,
        () => false,
      ),
    { timeoutMs: 60_000, what: 'the tool in the container' },
  );
  const { inputs, outputs } = inspectModel(model);
  const parameters = {
    model: 'digits',
    version: '1',
    target: 'linux-armv7',
    modelSha256: sha256Hex(bytes),
    labels: Array.from({ length: 10 }, (_, digit) => String(digit)),
    preproc: { pipeline: ['resize', 'grayscale', 'hwctochw', 'scale'], params: { resize: [28, 28], scale: [-1, 1] } },
    postproc: { pipeline: ['softmax', 'topk'], params: { topk: { k: 3 } } },
    inputs,
    outputs,
  };
  const request = { name: 'digits', parameters, inputs: { model: { url: `${origin}/model.onnx` } } };
  expect((await call('/artifacts', { method: 'POST', body: JSON.stringify(request) })).status).toBe(202);
  const done = await waitUntil(
    async (): Promise<ArtifactStatus | undefined> => {
      const status = artifactStatusSchema.parse(await (await call('/artifacts/digits/status')).json());
      return ['completed', 'failed'].includes(status.status) ? status : undefined;
    },
    { timeoutMs: 200_000, what: 'the package' },
  );
  expect(done).toMatchObject({ status: 'completed', error: null });
  const report = buildReportSchema.parse(await (await call('/artifacts/digits/data/build.json')).json());
  expect(report).toMatchObject({ engine: 'xnnpack', precision: 'fp32', manifest: { target: 'linux-armv7' } });

  const archive = join(folder, 'files.tar.zst');
  await writeFile(archive, Buffer.from(await (await call('/artifacts/digits/data/files.tar.zst')).arrayBuffer()));
  await run('tar', ['--zstd', '-xf', archive, '-C', folder]);
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(report.manifest));
  const { stdout } = await run('qemu-arm-static', ['-cpu', 'cortex-a7', join(folder, 'run'), '--describe']);
  expect(stdout).toContain('digits');
  await engine.docker('rm', '-f', id);
});

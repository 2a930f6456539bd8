// A real tool process for tests, small: the uniform artifact API over HTTP, artifacts in one JSON file.
// A file `hold` in the data folder keeps work from finishing, `fail` makes it fail, `mute` leaves /health unanswered,
// `foreign` gives data a class that other data has not,
// `deaf` leaves a cancelled artifact at work until the process is killed.

import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';

const [name, , dir] = process.argv.slice(2);
const token = process.env.SELVEDGE_TOOL_TOKEN;
const trusted = process.env.SELVEDGE_TRUSTED_ORIGINS.split(',');
const stateFile = join(dir, 'artifacts.json');
const artifacts = new Map(existsSync(stateFile) ? JSON.parse(readFileSync(stateFile, 'utf8')) : []);
const save = () => writeFileSync(stateFile, JSON.stringify([...artifacts]));
const now = () => new Date().toISOString();
const flag = (file) => existsSync(join(dir, file));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const tensor = (tensorName, size) => ({ name: tensorName, dataType: 'float32', shape: [null, size] });
const FILES = {
  import: {
    'dataset.json': JSON.stringify({
      formatVersion: 1,
      type: 'image-classification',
      labels: ['a', 'b'],
      splits: { train: 2, test: 1 },
      files: 3,
      sizeBytes: 9,
    }),
    'page.html': '<script>alert(1)</script>',
  },
  train: {
    'model.onnx': 'onnx bytes',
    'training.json': JSON.stringify({
      formatVersion: 1,
      parameters: {},
      epochs: 2,
      bestEpoch: 2,
      seconds: 1,
      metrics: { 'validation/accuracy': 0.5 },
      inputs: [tensor('input', 4)],
      outputs: [tensor('logits', 2)],
    }),
  },
  benchmark: {
    'report.json': JSON.stringify({
      formatVersion: 1,
      samples: 1,
      metrics: { accuracy: 0.75, f1: 0.7 },
      perClass: [],
      confusion: [],
      latencyMs: { p50: 1, p95: 2 },
    }),
    'golden.json': '{"golden":true}',
  },
};
const METRICS = name === 'train' ? { 'train/loss': [3, 2, 1], 'validation/accuracy': [0.25, 0.5] } : {};
const filesOf = async (artifact) =>
  name === 'build'
    ? makePackage(artifact.parameters)
    : name === 'import'
      ? {
          ...FILES.import,
          ...makeDataset(artifact),
          ...(flag('foreign') ? { 'dataset.json': FILES.import['dataset.json'].replace('"b"', '"z"') } : {}),
        }
      : (FILES[name] ?? { 'out.txt': `made by ${name}` });

/** One file whose content is what came in, so that other data makes another version. `damage` in the data folder spoils it. */
function makeDataset({ parameters, inputs }) {
  const content = JSON.stringify([inputs?.archive?.sha256 ?? inputs?.archive?.url, parameters.resplit]);
  const sha256 = createHash('sha256').update(content).digest('hex');
  const file = { path: 'train/a/1.png', sha256, sizeBytes: Buffer.byteLength(content), split: 'train', label: 0 };
  return { 'manifest.jsonl': `${JSON.stringify(file)}\n`, 'files/train/a/1.png': flag('damage') ? content.replace('[', '{') : content };
}

/** A package as the build tool makes it, of three small files. `spoil` in the data folder makes one of them differ from the manifest. */
async function makePackage({ model, version, target, modelSha256, labels, preproc, postproc, inputs, outputs }) {
  const { pack } = await import('tar-stream');
  const zstd = await import('@bokuweb/zstd-wasm');
  zstdReady ??= zstd.init();
  await zstdReady;
  const contents = { 'model.bin': 'weights', run: '#!/bin/sh\n', 'sbom.json': '{}' };
  const tar = pack();
  for (const [path, content] of Object.entries(contents))
    tar.entry({ name: path, mtime: new Date(0), mode: 0o755 }, flag('spoil') && path === 'run' ? '#!/bin/ba' : content);
  tar.finalize();
  const digest = (text) => createHash('sha256').update(text).digest('hex');
  const files = Object.entries(contents).map(([path, content]) => ({
    path,
    sha256: digest(content),
    sizeBytes: content.length,
    executable: path === 'run',
  }));
  const manifest = {
    formatVersion: 1,
    runtime: 'native',
    ...{ model, version, target, engine: 'xnnpack', precision: 'fp32', modelSha256, entrypoint: 'run', modelFile: 'model.bin' },
    ...{ goldenFile: null, sbomFile: 'sbom.json', inputs, outputs, labels, preproc, postproc, dctScaling: true },
    benchmark: { parameters: 1, macs: 1, trained: {}, built: {} },
    files,
  };
  const provenance = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'manifest.json', digest: { sha256: digest('') } }],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: 'https://selvedge.dev/build/native/v1',
        externalParameters: {},
        internalParameters: {},
        resolvedDependencies: [],
      },
      runDetails: { builder: { id: 'fixture' } },
    },
  };
  const report = {
    formatVersion: 1,
    engine: 'xnnpack',
    precision: 'fp32',
    manifest,
    provenance,
    notes: ['all of it is xnnpack'],
    seconds: 1,
  };
  return { 'build.json': JSON.stringify(report), 'files.tar.zst': Buffer.from(zstd.compress(await buffer(tar), 3)) };
}
let zstdReady;

async function fetchInput({ url }) {
  const headers = trusted.includes(new URL(url).origin) ? { authorization: `Bearer ${token}` } : {};
  const response = await fetch(url, { headers });
  if (!response.ok)
    throw Object.assign(new Error(`input answered ${response.status}: ${await response.text()}`), { code: 'DOWNLOAD_FAILED' });
  return (await response.arrayBuffer()).byteLength;
}

async function make(artifact) {
  const { status } = artifact;
  Object.assign(status, { status: 'in-progress', startedAt: now(), attempt: status.attempt + 1, message: 'working' });
  save();
  try {
    for (const [input, source] of Object.entries(artifact.inputs ?? {})) artifact.log += `${input}: ${await fetchInput(source)} bytes\n`;
    status.progress = 0.5;
    while (flag('hold') && status.status === 'in-progress') await pause(10);
    if (flag('fail')) throw Object.assign(new Error('the data is bad'), { code: 'DATASET_FORMAT' });
    if (status.status === 'cancelled') return;
    artifact.log += 'done\n';
    Object.assign(status, { status: 'completed', progress: 1, message: 'Completed' });
  } catch (error) {
    Object.assign(status, { status: 'failed', message: error.message, error: { code: error.code ?? 'INTERNAL', message: error.message } });
  } finally {
    status.finishedAt = now();
    save();
  }
}

let busy = Promise.resolve();
const queue = (artifact) => {
  busy = busy.then(() => (artifacts.has(artifact.name) ? make(artifact) : undefined));
};
for (const artifact of artifacts.values())
  if (existsSync(join(dir, 'artifacts', artifact.name, 'cancel'))) artifact.status.status = 'cancelled';
for (const artifact of artifacts.values()) if (['queued', 'in-progress'].includes(artifact.status.status)) queue(artifact);

const summary = (artifact) => ({
  name: artifact.name,
  type: 'thing',
  tool: name,
  url: `/artifacts/${artifact.name}/`,
  state: artifact.status,
});

function create(request) {
  appendFileSync(join(dir, 'created.log'), `${request.name}\n`);
  mkdirSync(join(dir, 'artifacts', request.name), { recursive: true });
  const status = {
    status: 'queued',
    progress: 0,
    message: '',
    attempt: 0,
    createdAt: now(),
    startedAt: null,
    finishedAt: null,
    error: null,
  };
  const artifact = { ...request, log: '', status };
  artifacts.set(request.name, artifact);
  save();
  queue(artifact);
  return artifact;
}

const json = (response, status, body, headers = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
const absent = (response) =>
  json(response, 404, { type: 'x', title: 'x', status: 404, detail: 'absent', code: 'NOT_FOUND', kind: 'user', retryable: false });

async function followLog(response, artifact) {
  let sent = 0;
  response.writeHead(200, { 'content-type': 'text/plain' });
  for (;;) {
    const finished = !['queued', 'in-progress'].includes(artifact.status.status);
    response.write(artifact.log.slice(sent));
    sent = artifact.log.length;
    if (finished || response.destroyed) break;
    await pause(10);
  }
  response.end();
}

async function serveArtifact(response, method, artifact, [part, ...rest], query) {
  if (part === '' && method === 'DELETE') {
    artifact.status.status = 'cancelled';
    artifacts.delete(artifact.name);
    save();
    return response.writeHead(204).end();
  }
  if (part === 'cancel') {
    if (!flag('deaf') && ['queued', 'in-progress'].includes(artifact.status.status)) artifact.status.status = 'cancelled';
    save();
    return json(response, 202, summary(artifact));
  }
  if (part === 'status') return json(response, 200, artifact.status);
  if (part === 'log') return query.has('follow') ? followLog(response, artifact) : response.end(artifact.log);
  if (part === 'metrics' && rest.length === 0) return json(response, 200, { items: Object.keys(METRICS) });
  if (part === 'metrics') {
    const metric = rest[0].replaceAll('.', '/');
    const points = METRICS[metric].map((value, index) => ({ metric, step: index + 1, value, at: artifact.status.startedAt }));
    return response.end(
      points
        .slice(Number(query.get('after') ?? 0))
        .map((point) => `${JSON.stringify(point)}\n`)
        .join(''),
    );
  }
  if (part === 'data') {
    const files = await filesOf(artifact);
    const file = files[rest.length === 0 ? Object.keys(files)[0] : rest.join('/')];
    if (file === undefined) return absent(response);
    return response.writeHead(200, { 'content-type': rest[0]?.endsWith('.html') ? 'text/html' : 'text/plain' }).end(file);
  }
  return json(response, 200, summary(artifact));
}

async function serve(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://tool');
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  if (pathname === '/echo')
    return json(response, 200, { method: request.method, headers: request.headers, url: request.url, bytes: body.length });
  if (request.headers.authorization !== `Bearer ${token}`) return response.writeHead(401).end('no token');
  if (pathname === '/health') return flag('mute') ? undefined : json(response, 200, { status: 'ok', busyWith: null, queued: 0 });
  if (pathname === '/') {
    const kind = ['train', 'benchmark', 'build', 'visualize'].includes(name) ? 'models' : 'data';
    const about = { name, description: 'fixture', version: '1.0.0', codeDigest: `digest-of-${name}`, makes: 'thing', class: kind };
    return json(response, 200, { ...about, parameters: {}, inputs: {} });
  }
  if (pathname === '/artifacts' && request.method === 'GET') return json(response, 200, { items: [...artifacts.values()].map(summary) });
  if (pathname === '/artifacts') {
    const wanted = JSON.parse(body);
    const artifact = artifacts.get(wanted.name) ?? create(wanted);
    return json(response, 202, summary(artifact), { location: `/artifacts/${artifact.name}/` });
  }
  const [, , artifactName, ...rest] = pathname.split('/').map(decodeURIComponent);
  const artifact = artifacts.get(artifactName);
  if (artifact === undefined) return absent(response);
  return serveArtifact(response, request.method, artifact, rest, searchParams);
}

const server = createServer((request, response) => {
  serve(request, response).catch((error) => response.writeHead(500).end(String(error)));
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${JSON.stringify({ event: 'listening', port: server.address().port })}\n`));
process.stdin.on('end', () => process.exit(0)).resume();

// The Deploy Module as a user meets it: one version becomes an executable per target, and devices take it up.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { EXIT, type Package, packageSchema, type Rollout, transferOf } from '@selvedge/contract';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { runnerOf, TEST_TARGETS_DIR, testTarget } from '../native/harness/targets.ts';
import type { Product } from './harness/product.ts';
import { SMALL_PIPELINE } from './harness/small-pipeline.ts';
import { deploy, startTrained } from './harness/trained.ts';

const run = promisify(execFile);
const TARGETS = ['linux-amd64', 'linux-armv7'] as const;
const PICTURES = 20;

interface Answer {
  result: { top: { label: string }; topk: { label: string; score: number }[] };
}

describe('native packages', () => {
  let product: Product;
  let folder: string;
  let pictures: string[];
  let emulator: string[];
  beforeAll(async () => {
    process.env.SELVEDGE_TARGETS_DIR = TEST_TARGETS_DIR;
    await testTarget('linux-amd64');
    emulator = runnerOf(await testTarget('linux-armv7'), 'cortex-a7') ?? [];
    folder = await mkdtemp(join(tmpdir(), 'selvedge-e2e-native-'));
    const digits = await readdir(join(inject('pictures'), 'test'), { recursive: true });
    pictures = digits
      .filter((path) => path.includes('/') && /\.(png|jpg)$/.test(path))
      .sort()
      .filter((_, index) => index % 5 === 0)
      .slice(0, PICTURES)
      .map((path) => join(inject('pictures'), 'test', path));
    product = await startTrained();
  });
  afterAll(async () => {
    await product?.stop();
    await rm(folder, { recursive: true, force: true });
    delete process.env.SELVEDGE_TARGETS_DIR;
  });

  const runtimeOf = async (device: string, test: (runtime: string) => boolean, what: string) => {
    const found = await product
      .waitForDevice(
        device,
        ({ status }) => status.workloads.some(({ state, runtime }) => state === 'serving' && test(runtime ?? '')),
        what,
        60_000,
      )
      .catch(async (error: unknown) => {
        throw new Error(`${what}: ${JSON.stringify((await product.device(device)).status.workloads)}`, { cause: error });
      });
    return found.status.workloads[0]?.port ?? 0;
  };
  async function ask(port: number, picture: string): Promise<Answer> {
    const type = picture.endsWith('.png') ? 'image/png' : 'image/jpeg';
    const body = new Uint8Array(await readFile(picture));
    const response = await fetch(`http://127.0.0.1:${port}/v1/infer`, { method: 'POST', body, headers: { 'content-type': type } });
    return (await response.json()) as Answer;
  }
  const labels = (answers: readonly Answer[]) => answers.map(({ result }) => result.top.label);

  it('take the place of the model server on devices of their targets, and answer the same', async () => {
    await deploy(product);
    await product.startAgent('edge-amd64');
    const port = await runtimeOf('edge-amd64', (runtime) => runtime === 'model-server', 'served by the model server');
    const before: Answer[] = [];
    for (const picture of pictures) before.push(await ask(port, picture));

    const targets = TARGETS.flatMap((target) => ['--target', target]);
    const built = await product.cliJson<{ items: Package[] }>(['build', 'create', 'digits:1', ...targets]);
    expect(built.items.map((item) => packageSchema.parse(item).status.phase)).toEqual(['Ready', 'Ready']);

    const [program = '', ...cpu] = emulator;
    expect(cpu).toEqual(['-cpu', 'cortex-a7']);
    await product.startAgent('edge-armv7', {
      args: ['--target', 'linux-armv7', '--emulator', (await run('which', [program])).stdout.trim()],
    });
    for (const [device, target] of [
      ['edge-amd64', 'linux-amd64'],
      ['edge-armv7', 'linux-armv7'],
    ] as const) {
      const served = await runtimeOf(device, (runtime) => runtime.includes(target), `served by the package for ${target}`);
      const after: Answer[] = [];
      for (const picture of pictures) after.push(await ask(served, picture));
      expect(labels(after)).toEqual(labels(before));
      after.forEach(({ result }, index) => {
        expect(Math.abs((result.topk[0]?.score ?? 0) - (before[index]?.result.topk[0]?.score ?? 1))).toBeLessThan(1e-3);
      });
    }
  });

  it('run alone, from an archive that is verified; a changed byte is refused', async () => {
    const name = 'digits.1.linux-armv7.fp32';
    const archive = join(folder, 'digits.tar.zst');
    expect((await product.cli(['package', 'export', name, '--out', archive])).code).toBe(0);
    expect((await product.cli(['package', 'verify', archive])).code).toBe(0);
    const bytes = await readFile(archive);
    for (const position of [20, bytes.length >> 1, bytes.length - 1]) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8((changed.at(position) ?? 0) ^ 1, position);
      await writeFile(join(folder, 'changed.tar.zst'), changed);
      const refused = await product.cli(['package', 'verify', join(folder, 'changed.tar.zst')]);
      expect(refused.code).toBe(EXIT.denied);
      expect(refused.stderr).toMatch(/seal/);
    }
    const unpacked = join(folder, 'unpacked');
    expect((await product.cli(['package', 'export', name, '--unpack', unpacked])).code).toBe(0);
    expect((await stat(join(unpacked, 'run'))).mode & 0o111).not.toBe(0);
    const [program = '', ...cpu] = emulator;
    const inputs = pictures.flatMap((picture) => ['--input', picture]);
    const { stdout } = await run(program, [...cpu, join(unpacked, 'run'), ...inputs]);
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(pictures.length);
    const right = lines.filter((line, index) => pictures[index]?.includes(`/${(JSON.parse(line) as Answer).result.top.label}/`) === true);
    const { versions } = await (await product.api()).getModel({ params: { name: 'digits' } });
    const accuracy = versions[0]?.spec.metrics.accuracy ?? 1;
    expect(right.length / lines.length).toBeGreaterThan(accuracy - 0.3); // twenty pictures say only roughly
  });

  it('are measured on a device, and a task decides by the figures', async () => {
    const measured = await product.cliJson<{ items: { device: string; latencyMs: { p95: number } }[] }>([
      ...['bench', 'digits.1.linux-amd64.fp32', '--on', 'edge-amd64', '--seconds', '1'],
    ]);
    expect(measured.items[0]).toMatchObject({ device: 'edge-amd64' });
    expect(measured.items[0]?.latencyMs.p95).toBeGreaterThan(0);
    const shown = await product.cliJson<Package>(['package', 'show', 'digits.1.linux-amd64.fp32']);
    expect(packageSchema.parse(shown).status.benchmarks).toHaveLength(1);
    const wrongTarget = await product.cli(['bench', 'digits.1.linux-armv7.fp32', '--on', 'edge-amd64', '--seconds', '1']);
    expect(wrongTarget.code).not.toBe(0);
    expect(wrongTarget.stderr).toContain('runs packages for linux-armv7');
  });

  it('come as patches to devices that have the package of the version before', async () => {
    const file = join(product.dir, 'pipeline-2.json');
    await writeFile(file, JSON.stringify({ ...SMALL_PIPELINE, train: { from: 'digits:1', trainable: ['gemm*'] } }));
    await product.cliJson(['apply', '-f', file, '--name', 'change-2']);
    await product.cliJson(['pipeline', 'run', 'change-2', '--watch']);
    await product.cliJson(['build', 'create', 'digits:2', ...TARGETS.flatMap((target) => ['--target', target])]);
    const result = await product.cli(['deploy', 'digits:2', '--waves', '100%', '--trial', '1s', '--watch']);
    expect(result.code, result.stderr).toBe(0);
    for (const device of ['edge-amd64', 'edge-armv7'])
      await runtimeOf(device, (runtime) => runtime.startsWith('digits.2.'), 'the new package');
    const rollout = await product.cliJson<Rollout>(['rollout', 'show', 'digits']);
    const sent = transferOf(rollout.status);
    expect(sent?.patchedBytes).toBe(sent?.wholeBytes);
    expect(sent?.fetchedBytes).toBeLessThan(0.6 * (sent?.wholeBytes ?? 0));
  });

  it('for a platform that does not exist are refused, with those that do', async () => {
    const result = await product.cli(['build', 'create', 'digits:1', '--target', 'linux-s390x']);
    expect(result.code).not.toBe(0);
    expect(result.stderr).toMatch(/linux-s390x[\s\S]*linux-armv7/);
  });
});

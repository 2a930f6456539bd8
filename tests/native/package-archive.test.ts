import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '@selvedge/toolchain';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listPackageFiles } from '../../packages/tools/src/build/package-files/list-files.ts';
import { writeArchive } from '../../packages/tools/src/build/package-files/write-archive.ts';
import { testTarget } from './harness/targets.ts';

const MIB = 1024 ** 2;

let folder = '';
let zstd = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-archive-test-'));
  zstd = (await testTarget('linux-amd64')).compiler.zstd;
  const content = join(folder, 'package');
  await mkdir(join(content, 'lib'), { recursive: true });
  await writeFile(join(content, 'run'), 'the program', { mode: 0o755 });
  await writeFile(join(content, 'model.onnx'), pattern(9 * MIB, 7));
  await writeFile(join(content, 'lib/libsmall.so'), pattern(1000, 3));
  await writeFile(join(content, 'lib/liblarge.so'), pattern(9 * MIB + 1, 5));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Bytes that repeat, but not soon. */
function pattern(length: number, step: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i += 1) bytes[i] = (i * step + (i >> 9)) & 0xff;
  return bytes;
}

async function archive(name: string, cacheDir: string): Promise<{ bytes: Buffer; fractions: number[] }> {
  const { compiler } = await testTarget('linux-amd64');
  const content = join(folder, 'package');
  const { signal } = new AbortController();
  const output = join(folder, name);
  const fractions: number[] = [];
  const files = await listPackageFiles(content, signal);
  await writeArchive({ folder: content, files, compiler, cacheDir, output, signal, progress: (fraction) => fractions.push(fraction) });
  return { bytes: await readFile(output), fractions };
}

it('is the same whether the frames of libraries were kept or not, and unpacks to the files', async () => {
  const cacheDir = join(folder, 'cache');
  const cold = await archive('cold.tar.zst', cacheDir);
  expect(cold.fractions.at(-1)).toBe(1);
  expect(cold.fractions).toEqual([...cold.fractions].sort((a, b) => a - b));
  // 9 MiB and the tar header: two frames.
  expect((await readdir(cacheDir, { recursive: true })).filter((path) => path.endsWith('.bytes'))).toHaveLength(2);
  expect((await archive('warm.tar.zst', cacheDir)).bytes.equals(cold.bytes)).toBe(true);
  expect((await archive('other.tar.zst', join(folder, 'other-cache'))).bytes.equals(cold.bytes)).toBe(true);

  const tar = join(folder, 'cold.tar');
  expect(await runProgram(zstd, ['-d', '-q', join(folder, 'cold.tar.zst'), '-o', tar])).toMatchObject({ exitCode: 0 });
  const target = join(folder, 'unpacked');
  await mkdir(target);
  expect(await runProgram('tar', ['-xf', tar, '-C', target])).toMatchObject({ exitCode: 0, stderr: '' });
  const difference = await runProgram('diff', ['-r', join(folder, 'package'), target]);
  expect(difference).toMatchObject({ exitCode: 0, stdout: '' });
});

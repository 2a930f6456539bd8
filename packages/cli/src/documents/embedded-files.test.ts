import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Io } from '../io.ts';
import { readEmbeddedFiles, withEmbeddedFiles } from './embedded-files.ts';

let cwd = '';
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'selvedge-embedded-'));
  await mkdir(join(cwd, 'shop/lib'), { recursive: true });
  for (const [path, text] of [
    ['shop/train.py', 'train'],
    ['shop/lib/layers.py', 'layers'],
    ['common.py', 'common'],
    ['shop/step.cpp', 'step'],
    ['shop/large.py', 'x'.repeat(300 * 1024)],
  ] as const)
    await writeFile(join(cwd, path), text);
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

const source = (document: unknown) => ({ name: 'shop/pipeline.json', text: JSON.stringify(document) });
const io = () => ({ cwd }) as Io;

async function embedded(document: unknown): Promise<unknown> {
  const texts = await readEmbeddedFiles([source(document)], io());
  return withEmbeddedFiles(document, texts.get('shop/pipeline.json'));
}

describe('files that a pipeline names by path', () => {
  const train = { engine: 'python', script: './train.py', files: ['lib/layers.py', '../common.py', { path: 'given.py', text: 'given' }] };
  const whole = {
    engine: 'python',
    script: { path: 'train.py', text: 'train' },
    files: [
      { path: 'lib/layers.py', text: 'layers' },
      { path: 'common.py', text: 'common' },
      { path: 'given.py', text: 'given' },
    ],
  };

  it('are put in their places, in a bare file, a document and a step', async () => {
    const build = { sources: ['step.cpp'], targets: ['linux-arm64'] };
    expect(await embedded({ train, build })).toEqual({ train: whole, build: { ...build, sources: [{ path: 'step.cpp', text: 'step' }] } });
    expect(await embedded({ kind: 'Pipeline', spec: { train } })).toEqual({ kind: 'Pipeline', spec: { train: whole } });
    const steps = [{ id: 'fit', tool: 'train', parameters: { train } }, 'nonsense'];
    expect(await embedded({ steps })).toEqual({ steps: [{ id: 'fit', tool: 'train', parameters: { train: whole } }, 'nonsense'] });
  });

  it('are named, each with its place, when they cannot be read', async () => {
    const document = { train: { script: 'none.py', files: ['large.py'] } };
    await expect(embedded(document)).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      details: {
        issues: [
          { file: 'shop/pipeline.json', path: 'train.script', message: 'none.py could not be read (ENOENT)' },
          { file: 'shop/pipeline.json', path: 'train.files', message: 'large.py is larger than 256 KiB' },
        ],
      },
    });
  });
});

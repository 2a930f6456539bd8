import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readProject, toolCommandOf } from './index.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-project-'));
  await mkdir(join(folder, 'tools/count'), { recursive: true });
  await writeFile(join(folder, 'tools/count/tool.py'), '');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function read(text: string) {
  const file = join(folder, 'selvedge.yaml');
  await writeFile(file, text);
  return readProject(file, ['train'], { isOptional: false });
}

it('names a tool after its folder, and starts it with the kit in reach', async () => {
  const [tool] = await read('tools:\n  - path: ./tools/count\n');
  expect(tool).toEqual({ name: 'count', kind: 'process', file: join(folder, 'tools/count/tool.py') });
  if (tool === undefined) throw new Error('no tool');
  const { command, env } = toolCommandOf(tool, '/data/count', { pythonPath: '/kit' });
  expect(command).toEqual(['python3', join(folder, 'tools/count/tool.py'), '--data', '/data/count', '--port', '0']);
  expect(env.PYTHONPATH).toMatch(/^\/kit/);
});

it.each([
  ['an unknown field', 'tools:\n  - path: ./tools/count\n    colour: red\n', 3, 'unknown field'],
  ['a folder without a tool', 'tools:\n  - path: ./tools/none\n', 2, 'has none of tool.py'],
  ['a name that is taken', 'tools:\n  - path: ./tools/count\n    name: train\n', 2, 'is taken'],
  ['two sources', 'tools:\n  - path: ./tools/count\n    image: x\n    name: x\n', 2, 'one of path, dockerfile and image'],
])('refuses %s with its line', async (_what, text, line, message) => {
  await expect(read(text)).rejects.toMatchObject({
    code: 'INPUT_INVALID',
    details: { issues: expect.arrayContaining([expect.objectContaining({ line, message: expect.stringContaining(message) })]) },
  });
});

it('takes an absent file as no tools only where it was not asked for', async () => {
  const absent = join(folder, 'absent.yaml');
  expect(await readProject(absent, [], { isOptional: true })).toEqual([]);
  await expect(readProject(absent, [], { isOptional: false })).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
});

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readProject, toolCommandOf, toolTestCommand } from './index.ts';

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
  return readProject(file, { isOptional: false });
}

it('names a tool after its folder, and starts it with the kit in reach', async () => {
  const [tool] = await read('tools:\n  - path: ./tools/count\n');
  expect(tool).toEqual({ name: 'count', kind: 'process', file: join(folder, 'tools/count/tool.py') });
  if (tool?.kind !== 'process') throw new Error('no tool');
  const { command, env } = toolCommandOf(tool, '/data/count', { pythonPath: '/kit', nodeKit: '/node-kit' });
  expect(command).toEqual(['python3', join(folder, 'tools/count/tool.py'), '--data', '/data/count', '--port', '0']);
  expect(env.PYTHONPATH).toMatch(/^\/kit/);
});

it.each([
  ['an unknown field', 'tools:\n  - path: ./tools/count\n    colour: red\n', 3, 'unknown field'],
  ['a folder without a tool', 'tools:\n  - path: ./tools/none\n', 2, 'has none of tool.py'],
  ['a name that is taken', 'tools:\n  - path: ./tools/count\n    name: train\n', 2, 'is taken'],
  ['two sources', 'tools:\n  - path: ./tools/count\n    image: x\n    name: x\n', 2, 'one of path, dockerfile, image and url'],
  ['a step of the server', 'tools:\n  - url: http://a:1\n    name: register\n', 2, 'is taken'],
  ['a url without a name', 'tools:\n  - url: http://a:1\n', 2, 'is needed with an image or url'],
  ['another scheme', 'tools:\n  - url: file:///etc/passwd\n    name: x\n', 2, 'nvalid URL'],
])('refuses %s with its line', async (_what, text, line, message) => {
  await expect(read(text)).rejects.toMatchObject({
    code: 'INPUT_INVALID',
    details: { issues: expect.arrayContaining([expect.objectContaining({ line, message: expect.stringContaining(message) })]) },
  });
});

it('takes an absent file as no tools only where it was not asked for', async () => {
  const absent = join(folder, 'absent.yaml');
  expect(await readProject(absent, { isOptional: true })).toEqual([]);
  await expect(readProject(absent, { isOptional: false })).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
});

it('takes a tool that others run under a built-in name', async () => {
  expect(await read('tools:\n  - url: http://train:8080/\n    name: train\n')).toEqual([
    { name: 'train', kind: 'remote', url: 'http://train:8080' },
  ]);
});

it('starts a file in TypeScript with a Node that runs it, and its test with the same', async () => {
  const kit = fileURLToPath(new URL('../../../tools/src', import.meta.url));
  const installation = { pythonPath: '/kit', nodeKit: kit };
  const { command } = toolCommandOf({ name: 'count', kind: 'process', file: '/p/tool.ts' }, '/data/count', installation);
  expect(command[0]).toBe(process.execPath);
  expect(command.slice(-6)).toEqual([join(kit, 'project-tool/host-main.ts'), '/p/tool.ts', '--data', '/data/count', '--port', '0']);
  expect(toolTestCommand('/p/tool.ts', ['tool.ts', 'tool.test.ts'], installation)?.command.at(-1)).toBe('/p/tool.test.ts');
  expect(toolTestCommand('/p/tool.ts', ['tool.ts'], installation)).toBeUndefined();
});

it('runs a container without rights, on its own folder, with the token not among the arguments', () => {
  const dockerfile = "/it's/Dockerfile";
  const installation = { pythonPath: '/kit', nodeKit: '/none' };
  const { command, afterStop } = toolCommandOf({ name: 'count', kind: 'dockerfile', dockerfile }, '/data/count', installation);
  const [shell, , script = ''] = command;
  expect(shell).toBe('sh');
  expect(script).toContain(`'-C' '/it'\\''s' '.' '-C' '/kit' 'selvedge'`);
  for (const part of ["'--cap-drop' 'ALL'", "'/data/count:/data'", "'--env' 'SELVEDGE_TOOL_TOKEN'"]) expect(script).toContain(part);
  const name = afterStop?.at(-1) ?? '';
  expect(afterStop).toEqual(['docker', 'rm', '-f', expect.stringMatching(/^selvedge-[0-9a-f]{12}-count$/)]);
  expect(script).toContain(`'--name' '${name}'`);
  const other = toolCommandOf({ name: 'count', kind: 'image', image: 'x' }, '/other/count', installation);
  expect(other.afterStop).not.toContain(name);
});

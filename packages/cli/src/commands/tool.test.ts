import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT } from '@selvedge/contract';
import { freePort } from '@selvedge/runtime';
import { describe, expect, test } from 'vitest';
import { CliBench } from '../testing/bench-cli.ts';

const bench = new CliBench().install();
const project = () => readFile(join(bench.cwd, 'selvedge.yaml'), 'utf8');

describe('tool new', () => {
  test.each([
    ['py', ['tool.py', 'test_tool.py', 'Dockerfile']],
    ['ts', ['tool.ts', 'tool.test.ts', 'package.json', 'Dockerfile']],
  ])('makes a tool in %s under its name, and the project file', async (lang, files) => {
    const { code, stdout } = await bench.call(['tool', 'new', 'count', '--lang', lang]);
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toEqual(files.map((file) => `tools/count/${file}`));
    const source = await readFile(join(bench.cwd, 'tools/count', files[0] ?? ''), 'utf8');
    expect(source).toMatch(/name(=|: )["']count["']/);
    expect(source).not.toContain('NAME');
    expect(source.trim().split('\n').length).toBeLessThan(30);
    expect(await project()).toBe('tools:\n  - path: ./tools/count\n');
  });

  test('adds its line to a project file, and leaves comments, order and long lines', async () => {
    const image = `registry.example.org/${'x'.repeat(90)}`;
    const text = `# our tools\ntools:\n  # first\n  - path: ./tools/b # the old one\n  - image: ${image}\n    name: a\n`;
    await writeFile(join(bench.cwd, 'selvedge.yaml'), text);
    expect((await bench.call(['tool', 'new', 'count'])).code).toBe(0);
    expect(await project()).toBe(`${text}  - path: ./tools/count\n`);
  });

  test.each([
    ['only comments', '# nothing yet\n', '# nothing yet\n'],
    ['an empty list', 'tools: []\n', ''],
  ])('adds its line to a project file with %s', async (_what, text, begin) => {
    await writeFile(join(bench.cwd, 'selvedge.yaml'), text);
    const { code } = await bench.call(['tool', 'new', 'count']);
    const after = await project();
    expect({ code, begin: after.slice(0, begin.length), lists: after.includes('path: ./tools/count') }).toEqual({
      code: 0,
      begin,
      lists: true,
    });
  });

  test.each([
    ['the name of a listed tool', 'count', 'tools:\n  - image: x\n    name: count\n', 'has a tool "count" already'],
    ['the folder name of a listed tool', 'count', 'tools:\n  - path: ./elsewhere/count\n', 'has a tool "count" already'],
    ['the folder of a listed Dockerfile', 'count', 'tools:\n  - dockerfile: ./count/Dockerfile\n', 'has a tool "count" already'],
    ['a built-in name', 'train', '', 'choose another one'],
    ['a name of a step', 'register', '', 'choose another one'],
    ['a path', '../count', '', 'cannot be a tool'],
    ['a broken project file', 'count', 'tools:\n  - path: a\n    colour: red\n', 'selvedge.yaml:3'],
  ])('refuses %s, and changes nothing', async (_what, name, text, message) => {
    await writeFile(join(bench.cwd, 'selvedge.yaml'), text);
    const { code, stderr } = await bench.call(['tool', 'new', name]);
    expect(code).not.toBe(0);
    expect(stderr).toContain(message);
    expect(await project()).toBe(text);
  });

  test('refuses a folder that is there', async () => {
    await mkdir(join(bench.cwd, 'tools/count'), { recursive: true });
    const { code, stderr } = await bench.call(['tool', 'new', 'count']);
    expect(code).not.toBe(0);
    expect(stderr).toContain('is there already');
    await expect(project()).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('knows py and ts', async () => {
    const { code, stderr } = await bench.call(['tool', 'new', 'count', '--lang', 'cobol']);
    expect(code).toBe(EXIT.invalid);
    expect(stderr).toContain('py, ts');
  });
});

describe('tool test and tool verify', () => {
  test('a folder without a tool is named', async () => {
    const { code, stderr } = await bench.call(['tool', 'test', 'nothing']);
    expect(code).not.toBe(0);
    expect(stderr).toContain('nothing has none of tool.py, tool.ts');
  });

  test('where nobody listens, that is said', async () => {
    const { code, stderr } = await bench.call(['tool', 'verify', `http://127.0.0.1:${await freePort()}`]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('error:');
  });

  test('an address that is none is refused', async () => {
    const { code, stderr } = await bench.call(['tool', 'verify', 'ftp://example.org']);
    expect(code).toBe(EXIT.invalid);
    expect(stderr).toContain('Not an http(s) URL');
  });

  test('an example with faults is refused with its line', async () => {
    await writeFile(join(bench.cwd, 'example.yaml'), 'parameters: {}\ninputs:\n  text: {colour: red}\n');
    const { code, stderr } = await bench.call(['tool', 'verify', 'http://127.0.0.1:1', '--example', 'example.yaml']);
    expect(code).not.toBe(0);
    expect(stderr).toContain('example.yaml:3');
  });
});

import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Product } from './harness/product.ts';

type Row = Record<'ok' | 'changed' | 'failed' | 'skipped' | 'unreachable', number> & { device: string };

describe('a play', () => {
  let product: Product;
  beforeEach(async () => {
    product = await Product.create();
    await product.startServer();
  });
  afterEach(() => product.stop());

  /** Agents that let the server write below a folder of their own each, and do what `settings` says besides. */
  async function startAgents(root: string, settings: object, labels: (name: string) => Record<string, string>): Promise<void> {
    for (const name of ['edge-a', 'edge-b']) {
      await mkdir(join(root, name), { recursive: true });
      await mkdir(product.agentDir(name), { recursive: true });
      await writeFile(join(product.agentDir(name), 'agent.json'), JSON.stringify({ files: { roots: [root] }, ...settings }));
      await product.startAgent(name, { labels: { site: 'north', ...labels(name) } });
    }
  }

  it('brings devices into a state once, tells before what it would do, and leaves out a device that fails', async () => {
    const root = join(product.dir, 'root');
    const commands = { allow: [{ argv: ['/usr/bin/touch', '*'] }] };
    await startAgents(root, { commands }, (name) => ({ line: name.slice(-1) }));
    await writeFile(join(root, 'edge-a/only-a'), 'x');
    await writeFile(join(product.dir, 'motd'), 'hello\n');
    await writeFile(join(product.dir, 'app.conf'), 'name={{ device }}\nline={{ labels.line }}\nport={{ port }}\n');
    const place = `${root}/{{ device }}`;
    const play = join(product.dir, 'play.yaml');
    await writeFile(
      play,
      `apiVersion: selvedge.dev/v1alpha1
kind: Play
spec:
  devices: site=north
  vars: { port: 8080 }
  tasks:
    - { name: motd, copy: { src: motd, dst: "${place}/motd", mode: "600" } }
    - { name: configuration, template: { src: app.conf, dst: "${place}/app.conf" } }
    - { name: marker, exec: { argv: [/usr/bin/touch, "${place}/marker"], creates: "${place}/marker" } }
    - { name: only one has it, fetch: { src: "${place}/only-a", dst: fetched } }
    - { name: after, copy: { src: motd, dst: "${place}/after" } }
`,
    );
    const run = async (...more: string[]) => {
      const { code, stdout, stderr } = await product.cli(['play', play, ...more, '-o', 'json']);
      const { recap } = JSON.parse(stdout) as { recap: Row[] };
      return { code, stderr, recap: recap.map((row) => `${row.device} ${row.ok}/${row.changed}/${row.failed}/${row.skipped}`) };
    };
    expect(await run('--check', '--limit', 'edge-a')).toMatchObject({ code: 0, recap: ['edge-a 0/5/0/0'] });
    expect(await readdir(join(root, 'edge-a'))).toEqual(['only-a']);

    const first = await run();
    expect(first).toMatchObject({ code: 6, recap: ['edge-a 0/5/0/0', 'edge-b 0/3/1/0'] });
    expect(first.stderr).toContain('only one has it');
    expect(await readFile(join(root, 'edge-b/app.conf'), 'utf8')).toBe('name=edge-b\nline=b\nport=8080\n');
    expect((await stat(join(root, 'edge-b/motd'))).mode & 0o777).toBe(0o600);
    expect((await readdir(join(root, 'edge-b'))).sort()).toEqual(['app.conf', 'marker', 'motd']);
    expect(await readFile(join(product.dir, 'fetched/edge-a/only-a'), 'utf8')).toBe('x');

    expect(await run('--limit', 'line=a')).toMatchObject({ code: 0, recap: ['edge-a 4/0/0/1'] });
  });

  it('brings folders to devices and back, and does nothing where they are as wanted', async () => {
    const root = join(product.dir, 'root');
    await startAgents(root, {}, () => ({}));
    for (const name of ['edge-a', 'edge-b']) {
      await mkdir(join(root, name, 'reports'));
      await writeFile(join(root, name, 'reports/today'), name);
    }
    const source = join(product.dir, 'site');
    await mkdir(join(source, 'deep'), { recursive: true });
    await writeFile(join(source, 'deep/page'), 'one');
    const place = `${root}/{{ device }}`;
    const play = join(product.dir, 'play.yaml');
    await writeFile(
      play,
      `apiVersion: selvedge.dev/v1alpha1
kind: Play
spec:
  devices: site=north
  tasks:
    - { name: folder, copy: { src: site, dst: "${place}/", mode: "640" } }
    - { name: reports, fetch: { src: "${place}/reports", dst: fetched } }
`,
    );
    const run = async (...more: string[]) => {
      const { code, stdout, stderr } = await product.cli(['play', play, ...more, '-o', 'json']);
      expect(code, stderr).toBe(0);
      const { recap } = JSON.parse(stdout) as { recap: Row[] };
      return recap.map((row) => `${row.device} ${row.ok}/${row.changed}`);
    };
    expect(await run('--check')).toEqual(['edge-a 0/2', 'edge-b 0/2']);
    expect(await readdir(join(root, 'edge-a'))).toEqual(['reports']);
    expect(await run()).toEqual(['edge-a 0/2', 'edge-b 0/2']);
    expect(await readFile(join(root, 'edge-b/site/deep/page'), 'utf8')).toBe('one');
    expect((await stat(join(root, 'edge-b/site/deep/page'))).mode & 0o777).toBe(0o640);
    expect(await readFile(join(product.dir, 'fetched/edge-b/reports/today'), 'utf8')).toBe('edge-b');
    expect(await run()).toEqual(['edge-a 2/0', 'edge-b 2/0']);
    expect(await run('--check')).toEqual(['edge-a 2/0', 'edge-b 2/0']);

    await writeFile(join(root, 'edge-a/site/deep/page'), 'changed by hand');
    await writeFile(join(root, 'edge-b/reports/tomorrow'), 'x');
    expect(await run('--check')).toEqual(['edge-a 1/1', 'edge-b 1/1']);
    expect(await run()).toEqual(['edge-a 1/1', 'edge-b 1/1']);
    expect(await readFile(join(root, 'edge-a/site/deep/page'), 'utf8')).toBe('one');
    expect((await readdir(join(product.dir, 'fetched/edge-b/reports'))).sort()).toEqual(['today', 'tomorrow']);
  });
});

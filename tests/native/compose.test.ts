// deploy/compose on a real engine: one container per tool, a training run through them, and data that outlives them.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { waitUntil } from '@selvedge/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeDigits } from '../../examples/digits/make-dataset.ts';
import { ROOT } from '../e2e/harness/product.ts';
import { SMALL_PIPELINE } from '../e2e/harness/small-pipeline.ts';
import { makeNodeImage } from './harness/base-images.ts';
import { type Compose, findCompose } from './harness/compose.ts';
import { DockerEngine } from './harness/docker-engine.ts';

const FOLDER = join(ROOT, 'deploy/compose');
const CLI = join(ROOT, 'packages/cli/bin/selvedge.mjs');
const URL = 'http://127.0.0.1:17070';
const TOOLS = ['import', 'process', 'export', 'split', 'train', 'benchmark', 'visualize'];

/** The product's image by its own Dockerfile; the packages that npm would fetch are those of this checkout. */
async function buildImage(engine: DockerEngine, folder: string): Promise<void> {
  const workspaces = ['server', 'tools', 'cli'].flatMap((name) => ['--workspace', `@selvedge/${name}`]);
  const list = await promisify(execFile)('npm', ['ls', '--omit=dev', '--all', '--parseable', ...workspaces], { cwd: ROOT }).catch(
    (error: { stdout: string }) => error, // it also ends with 1 for what is wrong with packages that are left out
  );
  const all = list.stdout.split('\n').filter((path) => path.startsWith(`${ROOT}node_modules/`) && !path.includes('/@selvedge/'));
  const modules = all.filter((path) => !all.some((other) => path.startsWith(`${other}/`))).map((path) => path.slice(ROOT.length));
  const text = await readFile(join(FOLDER, 'Dockerfile'), 'utf8');
  const dockerfile = text.replace(/^RUN npm ci[\s\S]*?\n\n/m, 'COPY node_modules node_modules\n\n');
  expect(dockerfile).not.toContain('npm ci');
  await writeFile(join(folder, 'Dockerfile.test'), dockerfile);
  const copied = [...dockerfile.matchAll(/^COPY ((?:\S+ )+)\S+$/gm)].flatMap(([, sources = '']) => sources.trim().split(' '));
  const files = [...copied.filter((path) => path !== 'node_modules'), ...modules];
  const tar = spawn(
    'tar',
    ['-cf', '-', '--exclude=*.map', '--exclude=win32', '--exclude=darwin', '-C', folder, 'Dockerfile.test', '-C', ROOT, ...files],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const build = spawn(
    'docker',
    ['build', '-q', '-f', 'Dockerfile.test', '--build-arg', 'BASE=local/node:20', '-t', 'selvedge:local', '-'],
    {
      stdio: [tar.stdout, 'ignore', 'inherit'],
      env: engine.env,
    },
  );
  const [code] = await once(build, 'exit');
  expect(code).toBe(0);
}

const folder = await mkdtemp(join(tmpdir(), 'selvedge-compose-'));
const env = { ...process.env, SELVEDGE_TOOL_TOKEN_FILE: join(folder, 'tool-token'), SELVEDGE_PORT: '17070' };
const withoutEngine = await findCompose(FOLDER, env);
afterAll(() => rm(folder, { recursive: true, force: true }));

// Debian 12 has no compose of version 2; the files themselves are checked everywhere by scripts/compose-files.test.ts.
if (withoutEngine === undefined)
  process.stdout.write('Missing: docker compose. The test of deploy/compose is skipped; set SELVEDGE_COMPOSE to its path.\n');

describe.runIf(withoutEngine !== undefined)('deploy/compose', { timeout: 600_000 }, () => {
  let engine: DockerEngine;
  let compose: Compose;
  let token: string;
  beforeAll(async () => {
    await writeFile(env.SELVEDGE_TOOL_TOKEN_FILE, 'a-token-of-the-compose-test\n');
    await chmod(env.SELVEDGE_TOOL_TOKEN_FILE, 0o444);
    await chmod(folder, 0o755);
    engine = await DockerEngine.start({ network: 'own' });
    await makeNodeImage(engine, 'local/node:20');
    await buildImage(engine, folder);
    const found = await findCompose(FOLDER, { ...engine.env, ...env, DOCKER_HOST: engine.env.DOCKER_HOST });
    if (found === undefined) throw new Error('compose is gone');
    compose = found;
    await compose('up', '-d');
  });
  afterAll(async () => {
    await compose?.('down', '-v', '--timeout', '5');
    await engine?.stop();
  });

  /** `selvedge ARGS -o json` where the published port is. */
  const selvedge = async (...args: string[]): Promise<string> => {
    const cliEnv = { SELVEDGE_SERVER: URL, SELVEDGE_TOKEN: token };
    return engine.inNetwork(process.execPath, [CLI, ...args, '-o', 'json'], { env: cliEnv });
  };
  const untilHealthy = async () => {
    await waitUntil(
      async () => {
        const text = await compose('exec', '-T', 'server', 'cat', '/data/admin-token').catch(() => '');
        token = text.trim();
        return token !== '';
      },
      { timeoutMs: 60_000, intervalMs: 500, what: 'the server' },
    );
    await waitUntil(
      async () => {
        const { items } = JSON.parse(await selvedge('module', 'list').catch(() => '{"items":[]}'));
        return TOOLS.every((tool) => items.some(({ name, state }: Record<string, string>) => name === tool && state === 'healthy'));
      },
      { timeoutMs: 180_000, intervalMs: 2000, what: 'the tools' },
    );
  };

  it('is valid in every combination', async () => {
    await compose('config', '-q');
    await compose('--profile', 'build', 'config', '-q');
    await compose('-f', 'docker-compose-build.yml', '--profile', 'build', 'config', '-q');
    const devices = await findCompose(FOLDER, { ...env, SELVEDGE_ADVERTISE: 'edge.example.org' });
    expect(await devices?.('-f', 'docker-compose.yml', '-f', 'docker-compose-devices.yml', 'config')).toContain('7443');
  });

  it('runs each tool in a container of its own, with one port for all', async () => {
    await untilHealthy();
    const containers = JSON.parse(`[${(await engine.docker('ps', '--format', '{{json .}}')).split('\n').join(',')}]`) as {
      Names: string;
      Ports: string;
    }[];
    expect(containers).toHaveLength(TOOLS.length + 1);
    expect(containers.filter(({ Ports }) => Ports.includes('->')).map(({ Ports }) => Ports)).toEqual(['127.0.0.1:17070->7070/tcp']);
    const [network] = JSON.parse(await engine.docker('network', 'inspect', 'selvedge_tools'));
    expect(network).toMatchObject({ Internal: true });
    expect(Object.keys(network.Containers)).toHaveLength(TOOLS.length + 1);
    expect(await compose('exec', '-T', 'train', 'node', '-p', 'process.getuid()')).toBe('1000');
    await expect(compose('exec', '-T', 'train', 'touch', '/opt/selvedge/x')).rejects.toThrow(/Read-only/);
    expect(await engine.docker('inspect', await compose('ps', '-q', 'train'))).not.toContain('a-token-of-the-compose-test');
  });

  it('trains through them; down and up again keeps what was made', async () => {
    await makeDigits({ outDir: join(folder, 'pictures'), train: 200, test: 50, seed: 3 });
    await writeFile(join(folder, 'digits.json'), JSON.stringify(SMALL_PIPELINE));
    await selvedge('dataset', 'add', 'digits', '--from', join(folder, 'pictures'));
    await selvedge('apply', '-f', join(folder, 'digits.json'));
    await selvedge('pipeline', 'run', 'digits', '--watch');
    const lastRun = async () => JSON.parse(await selvedge('run', 'list')).items[0];
    const run = await lastRun();
    expect(run.status).toMatchObject({ phase: 'Succeeded', modelVersion: 'digits/1' });
    const name = run.metadata.name as string;
    const read = `fetch('${URL}/containers/train/artifacts/${name}.train/status', { headers: { authorization: 'Bearer ${'TOKEN'}' } })`;
    const status = async () =>
      engine.inNetwork(process.execPath, ['-e', `${read.replace('TOKEN', token)}.then((r) => r.text()).then(console.log)`]);
    const before = await status();
    expect(before).toContain('completed');

    await compose('down', '--timeout', '10');
    expect(await engine.docker('ps', '-aq')).toBe('');
    await compose('up', '-d');
    await untilHealthy();
    expect(await status()).toBe(before);
    expect((await lastRun()).status).toEqual(run.status);
  });
});

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { sleep, waitUntil } from '@selvedge/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CountingProxy } from '../bench/counting-proxy.ts';
import { cpuSecondsOf } from '../bench/rss.ts';
import type { Product } from './harness/product.ts';
import { ROOT, type Running } from './harness/product.ts';
import { startTrained } from './harness/trained.ts';

const MB = 1024 * 1024;

function rssBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

/** Ceilings against gross regressions only; the figures themselves come from `npm run bench:agent` and `npm run bench:server`. */
describe('budgets', () => {
  let product: Product;
  let agent: Running;
  const proxy = new CountingProxy();
  beforeAll(async () => {
    product = await startTrained();
    const { hostname, port } = new URL(product.deviceUrl);
    agent = await product.startAgent('edge-1', { url: `https://127.0.0.1:${await proxy.start({ hostname, port: Number(port) })}` });
  });
  afterAll(async () => {
    await product.stop();
    proxy.stop();
  });

  it('an idle agent stays small', () => {
    expect(rssBytes(agent.child.pid ?? 0) / MB).toBeLessThan(70);
  });

  it('an idle agent needs next to no processor time and traffic', async () => {
    // What connecting takes is over; then a minute, in which it takes a sample and sends what it sends.
    await sleep(5000);
    const pid = agent.child.pid ?? 0;
    const begin = { cpuS: cpuSecondsOf(pid), bytes: proxy.wireBytes };
    await sleep(60_000);
    expect((cpuSecondsOf(pid) - begin.cpuS) / 60, 'share of a core').toBeLessThan(0.01);
    expect(((proxy.wireBytes - begin.bytes) * 24 * 60) / 1e6, 'MB a day, with TCP/IP headers').toBeLessThan(5);
  });

  it('the agent carries only the packages that its budget names', () => {
    const meta = JSON.parse(readFileSync(join(ROOT, 'packages/agent/dist/meta.json'), 'utf8')) as {
      outputs: Record<string, { entryPoint?: string; imports: { path: string; kind: string }[]; inputs: Record<string, unknown> }>;
    };
    // What is loaded at start and while running: everything reachable by static imports, and the run command.
    const wanted = Object.keys(meta.outputs).filter((path) => /\/(agent|run-[A-Z0-9]+)\.js$/.test(path));
    const seen = new Set<string>();
    for (const path of wanted) {
      const visit = (name: string): void => {
        if (seen.has(name)) return;
        seen.add(name);
        for (const imported of meta.outputs[name]?.imports ?? []) if (imported.kind === 'import-statement') visit(imported.path);
      };
      visit(path);
    }
    const inputs = [...seen].flatMap((name) => Object.keys(meta.outputs[name]?.inputs ?? {}));
    const packages = new Set(
      inputs.map((input) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1]).filter((name) => name !== undefined),
    );
    const budget = [
      'bl',
      'buffer',
      'debug',
      'base64-js',
      'ieee754',
      'inherits',
      'mqtt-packet',
      'ms',
      'process-nextick-args',
      'readable-stream',
      'string_decoder',
      'safe-buffer',
      'util-deprecate',
      'events',
      'abort-controller',
      'event-target-shim',
      'process',
      'zod',
    ];
    expect([...packages].filter((name) => !budget.includes(name))).toEqual([]);
    expect(packages).toContain('mqtt-packet');
  });

  it('an idle server with its tools stays within its limits', async () => {
    const api = await product.api();
    const modules = await waitUntil(
      async () => {
        const { items } = await api.listModules();
        return items.every((module) => module.state === 'healthy') ? items : undefined;
      },
      { timeoutMs: 30_000, what: 'all tools to be healthy' },
    );
    expect(rssBytes(product.server.child.pid ?? 0) / MB).toBeLessThan(250);
    for (const module of modules) expect(rssBytes(module.pid ?? 0) / MB, module.name).toBeLessThan(150);
  });

  it('the web UI stays small', () => {
    const html = readFileSync(join(ROOT, 'packages/web/dist/index.html'), 'utf8');
    const scripts = [...html.matchAll(/(?:src|href)="\.?\/?(assets\/[^"]+\.js)"/g)].map((match) => match[1] ?? '');
    expect(scripts.length).toBeGreaterThan(0);
    const bytes = scripts.reduce((sum, path) => sum + statSync(join(ROOT, 'packages/web/dist', path)).size, 0);
    expect(bytes).toBeLessThan(1.2 * MB);
  });
});

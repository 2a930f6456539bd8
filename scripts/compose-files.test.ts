import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BUILT_IN_TOOLS } from '@selvedge/contract';
import { parseDocuments } from '@selvedge/runtime/documents';
import { readProject } from '@selvedge/runtime/project';
import { expect, it } from 'vitest';
import * as z from 'zod';

const ROOT = join(import.meta.dirname, '..');
const FOLDER = join(ROOT, 'deploy/compose');

const serviceSchema = z.looseObject({
  user: z.string(),
  read_only: z.boolean(),
  cap_drop: z.array(z.string()),
  security_opt: z.array(z.string()),
  networks: z.array(z.string()),
  secrets: z.array(z.string()),
  volumes: z.array(z.string()),
  healthcheck: z.looseObject({ test: z.array(z.string()) }),
  command: z.array(z.string()).optional(),
  ports: z.array(z.string()).default([]),
});
const composeSchema = z.looseObject({
  services: z.record(z.string(), z.record(z.string(), z.unknown())),
  networks: z.record(z.string(), z.looseObject({ internal: z.boolean().optional() })),
  volumes: z.record(z.string(), z.unknown()),
});

/** YAML's merge key, resolved. */
function merged(value: Record<string, unknown>): Record<string, unknown> {
  const { '<<': base, ...own } = value;
  return { ...(base === undefined ? {} : merged(z.record(z.string(), z.unknown()).parse(base))), ...own };
}

const [document] = parseDocuments(await readFile(join(FOLDER, 'docker-compose.yml'), 'utf8'), 'docker-compose.yml');
const compose = composeSchema.parse(document?.value);
const services = Object.entries(compose.services).map(([name, service]) => ({ name, ...serviceSchema.parse(merged(service)) }));

it('has the server and every built-in tool, which the server reaches by name', async () => {
  expect(services.map(({ name }) => name).sort()).toEqual(['server', ...BUILT_IN_TOOLS].sort());
  const tools = await readProject(join(FOLDER, 'selvedge.yaml'), { isOptional: false });
  expect(tools).toEqual(BUILT_IN_TOOLS.map((name) => expect.objectContaining({ name, kind: 'remote', url: `http://${name}:8080` })));
});

it('publishes one port, and gives nothing but the server a way out', () => {
  expect(services.filter(({ ports }) => ports.length > 0).map(({ name, ports }) => [name, ports.length])).toEqual([['server', 1]]);
  expect(compose.networks.tools?.internal).toBe(true);
  expect(services.filter(({ networks }) => networks.join() !== 'tools').map(({ name }) => name)).toEqual(['server']);
});

it.each(services)('locks $name up, watches it and gives it a volume of its own', (service) => {
  expect(service).toMatchObject({ user: '1000:1000', read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
  expect(service.secrets).toEqual(['tool-token']);
  expect(service.healthcheck.test[0]).toBe('CMD');
  expect(service.volumes).toContain(`${service.name}-data:/data`);
  expect(Object.keys(compose.volumes)).toContain(`${service.name}-data`);
});

it.each(['compose', 'build-tool'])('%s: what its Dockerfile copies is in the build context', async (name) => {
  const kept = new Set((await readFile(join(ROOT, '.dockerignore'), 'utf8')).split('\n').map((line) => line.replace('!', '')));
  const dockerfile = await readFile(join(ROOT, 'deploy', name, 'Dockerfile'), 'utf8');
  const copied = [...dockerfile.matchAll(/^COPY ((?:\S+ )+)\S+$/gm)].flatMap(([, sources = '']) => sources.trim().split(' '));
  expect(copied.length).toBeGreaterThan(5);
  expect(copied.filter((path) => !kept.has(path))).toEqual([]);
});

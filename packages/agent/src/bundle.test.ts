import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { AGENT_VERSION } from './domain/agent-version.ts';

const FOLDER = fileURLToPath(new URL('..', import.meta.url));

/** Every module that the program may load, by what it is reached through. */
async function modulesOf(entry: string): Promise<string[]> {
  const { metafile } = await build({
    absWorkingDir: FOLDER,
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['onnxruntime-node', 'sharp'],
    metafile: true,
    write: false,
    outdir: 'unused',
  });
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports.map(({ path }) => path));
  return [...Object.keys(metafile.inputs), ...imports];
}

describe('the bundle of the agent', () => {
  it('never holds ONNX Runtime, the image decoder or the graph package', async () => {
    const modules = await modulesOf('src/main.ts');
    expect(modules.filter((path) => /onnxruntime|sharp|packages\/graph|\.\.\/graph\//.test(path))).toEqual([]);
  });

  it('leaves the X.509 library out of what `run` loads', async () => {
    const modules = await modulesOf('src/commands/run.ts');
    expect(modules.filter((path) => /x509|asn1|tsyringe|reflect-metadata/.test(path))).toEqual([]);
  });

  it('reports the version of its package', async () => {
    const text = await readFile(new URL('../package.json', import.meta.url), 'utf8');
    expect(z.object({ version: z.string() }).parse(JSON.parse(text)).version).toBe(AGENT_VERSION);
  });
});

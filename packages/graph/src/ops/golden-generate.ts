/**
 * Writes the golden tensors: `npx tsx packages/graph/src/ops/golden-generate.ts`.
 *
 * Only to be run when the definition of an op changes on purpose: every other implementation is bound to these files.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { goldenFiles } from './golden-cases.ts';

const folder = fileURLToPath(new URL('../../golden/', import.meta.url));
await mkdir(folder, { recursive: true });
for (const name of await readdir(folder)) {
  if (name.endsWith('.json') || name.endsWith('.bin')) await rm(join(folder, name));
}
const files = goldenFiles();
for (const { name, bytes } of files) await writeFile(join(folder, name), bytes);
const sizeBytes = files.reduce((sum, file) => sum + file.bytes.length, 0);
process.stdout.write(`${files.length} files, ${sizeBytes} bytes in ${folder}\n`);

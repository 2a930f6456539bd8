import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildApp } from './harness/app-package.ts';
import { runOnTarget } from './harness/native-program.ts';
import { testTarget } from './harness/targets.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-input-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

for (const name of ['linux-amd64', 'linux-armv7']) {
  it(`reads streams, arguments and manifests, and measures, on ${name}`, async ({ skip }) => {
    const target = await testTarget(name);
    const program = join(folder, `${name}-input_test`);
    await buildApp(target, program, { main: 'input_test.cc' });
    await mkdir(join(folder, name));
    const result = await runOnTarget(target, program, [join(folder, name)]);
    if (result === undefined) return skip('there is no emulator for the target');
    expect({ exitCode: result.exitCode, stderr: result.stderr }).toEqual({ exitCode: 0, stderr: '' });
  });
}

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildNativeProgram, runOnTarget } from './harness/native-program.ts';
import { testTarget } from './harness/targets.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-channel-'));
});
afterAll(() => rm(folder, { recursive: true }));

const PROGRAM = {
  source: 'tests/channel_output_test.cc',
  components: [],
  files: ['channel_output', 'log', 'http_message', 'problem'].map((name) => `serve/${name}.cc`),
  libraries: ['event_core'],
};

for (const name of ['linux-amd64', 'linux-armv7']) {
  it(`sends lines in order and sockets one at a time, and closes each in the end, on ${name}`, async ({ skip }) => {
    const target = await testTarget(name);
    const result = await runOnTarget(target, await buildNativeProgram(target, { ...PROGRAM, folder }), []);
    if (result === undefined) return skip('there is no emulator for the target');
    expect(result).toMatchObject({ exitCode: 0 });
  });
}

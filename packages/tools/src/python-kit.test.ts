import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { verifyTool } from '@selvedge/runtime/tool-conformance';
import { afterAll, describe, expect, it } from 'vitest';
import { TEST_TOKEN, ToolHarness } from './testing/tool-harness.ts';

const CLIENT = fileURLToPath(new URL('../../../clients/python', import.meta.url));
const hasPython = spawnSync('python3', ['--version']).status === 0;
const env = { ...process.env, PYTHONPATH: `${CLIENT}/src`, SELVEDGE_TOOL_TOKEN: TEST_TOKEN };

const harness = new ToolHarness();
afterAll(() => harness.end());

it.runIf(process.env.CI !== undefined)('python3 is there', () => expect(hasPython).toBe(true));

describe.runIf(hasPython)('clients/python', () => {
  it('passes its own tests', { timeout: 120_000 }, async () => {
    const { stderr } = await promisify(execFile)('python3', ['-m', 'unittest', 'discover', '-s', 'tests'], { cwd: CLIENT, env });
    expect(stderr).toMatch(/Ran \d+ tests[\s\S]*OK/);
  });

  it('makes tools that keep the tool API', { timeout: 120_000 }, async () => {
    const child = spawn('python3', [`${CLIENT}/tests/echo_tool.py`, '--data', await harness.folder()], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    harness.onEnd(async () => {
      const ended = once(child, 'exit');
      child.kill();
      await ended;
    });
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    const { checks } = await verifyTool({ url: `http://127.0.0.1:${JSON.parse(String(line)).port}`, token: TEST_TOKEN });
    expect(checks.filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
    expect(checks.length).toBeGreaterThan(35);
  });
});

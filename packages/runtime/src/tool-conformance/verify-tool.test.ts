import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, it } from 'vitest';
import { verifyTool } from './index.ts';

const server = createServer((request, response) => {
  const about = { name: 'liar', description: 'x', version: '1', codeDigest: 'x', makes: 'x', class: 'data', parameters: {}, inputs: {} };
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(request.url === '/' ? about : {}));
});
afterAll(() => server.close());

it('says of something that is no tool what was expected and what came', async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const seen: string[] = [];
  const { port } = server.address() as AddressInfo;
  const result = await verifyTool({
    url: `http://127.0.0.1:${port}`,
    token: 'any-token-0123456789',
    onCheck: ({ check }) => seen.push(check),
  });
  expect(result).toMatchObject({ tool: 'liar', passed: false });
  expect(result.checks.map(({ check }) => check)).toEqual(seen);
  expect(result.checks[0]).toEqual({ check: 'GET / describes the tool', outcome: 'ok' });
  expect(result.checks[1]).toMatchObject({ outcome: 'failed', got: '{}' });
  expect(result.checks.find(({ check }) => check.includes('401'))).toMatchObject({ outcome: 'failed', expected: 'status 401' });
  expect(result.checks.find(({ check }) => check.startsWith('data/'))).toMatchObject({ outcome: 'skipped' });
});

it('throws when nobody answers', async () => {
  await expect(verifyTool({ url: 'http://127.0.0.1:9' })).rejects.toMatchObject({ code: 'TOOL_UNAVAILABLE' });
});

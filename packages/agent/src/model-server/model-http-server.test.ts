import { connect } from 'node:net';
import { waitUntil } from '@selvedge/runtime';
import { expect, it } from 'vitest';
import { ModelHttpServer } from './model-http-server.ts';

it('does not give away, when it is drained, a connection of its own port: it closes that after the answer', async () => {
  const server = new ModelHttpServer(async (_request, response) => void response.end('here'));
  const socket = connect(await server.listen(0, '127.0.0.1'), '127.0.0.1');
  let answers = '';
  socket.on('data', (chunk) => (answers += chunk.toString('latin1')));
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await waitUntil(() => answers.includes('here'), { what: 'an answer', timeoutMs: 30_000 });
  expect(answers).toContain('Connection: keep-alive');
  const given: unknown[] = [];
  const drained = server.drain((connection) => given.push(connection));
  answers = '';
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await drained;
  await waitUntil(() => socket.closed, { what: 'the end of the connection', timeoutMs: 30_000 });
  expect(answers).toMatch(/connection: close[\s\S]*here/i);
  expect(given).toEqual([]);
  server.close();
});

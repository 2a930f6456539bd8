import { Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { AppError } from '@selvedge/contract';
import { exitWithParent, runMain } from '@selvedge/runtime';
import * as z from 'zod';
import { type FromModelServer, toModelServerSchema } from '../domain/model-process-messages.ts';
import { ModelHttpServer } from '../model-server/model-http-server.ts';
import { TrialProxy, type TrialProxyOptions } from './trial-proxy.ts';

const flagsSchema = z.object({
  mode: z.enum(['shadow', 'split']),
  share: z.coerce.number().min(0).max(1),
  seed: z.string(),
  port: z.coerce.number().int().min(1).max(65_535),
  previousPort: z.coerce.number().int().min(1).max(65_535),
});

function readFlags(): TrialProxyOptions {
  const { values } = parseArgs({
    options: {
      mode: { type: 'string' },
      share: { type: 'string' },
      seed: { type: 'string' },
      port: { type: 'string' },
      'previous-port': { type: 'string' },
    },
  });
  const flags = flagsSchema.safeParse({ ...values, previousPort: values['previous-port'] });
  if (!flags.success) throw new AppError('USAGE', { message: 'The command line is not valid; the agent starts this program.' });
  return flags.data;
}

function tell(message: FromModelServer): void {
  if (process.send !== undefined && process.connected) process.send(message);
}

async function main(signal: AbortSignal): Promise<number> {
  // The agent is gone: so are the versions behind us.
  exitWithParent(() => process.exit(0));
  process.on('disconnect', () => process.exit(0));
  const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  const proxy = new TrialProxy(readFlags());
  const server = new ModelHttpServer((request, response) => proxy.handle(request, response));
  process.on('message', (raw: unknown, handle: unknown) => {
    const message = toModelServerSchema.safeParse(raw);
    if (!message.success) return;
    const { type } = message.data;
    if (type === 'connection' && handle instanceof Socket) server.take(handle);
    // Its requests wait for the versions; those that take too long are killed themselves.
    if (type === 'ping') tell({ type: 'pong', oldestRequestMs: 0 });
    if (type === 'drain') void server.drain().then(() => tell({ type: 'drained' }));
  });
  tell({ type: 'listening', port: await server.listen(0, '127.0.0.1') });
  tell({ type: 'ready' });
  await ended;
  server.close();
  proxy.close();
  return 0;
}

await runMain(main);
// Kept connections to the versions must not keep an ended proxy alive.
process.exit();

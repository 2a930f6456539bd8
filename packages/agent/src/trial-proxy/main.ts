import { parseArgs } from 'node:util';
import { AppError } from '@selvedge/contract';
import { exitWithParent, runMain } from '@selvedge/runtime';
import * as z from 'zod';
import { obeyAgent, tellAgent } from '../model-server/agent-channel.ts';
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

async function main(signal: AbortSignal): Promise<number> {
  // The agent is gone: so are the versions behind us.
  exitWithParent(() => process.exit(0));
  process.on('disconnect', () => process.exit(0));
  const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  const proxy = new TrialProxy(readFlags());
  const server = new ModelHttpServer((request, response) => proxy.handle(request, response));
  // Its requests wait for the versions; those that take too long are killed themselves.
  obeyAgent(
    server,
    () => 0,
    () => undefined,
  );
  await tellAgent({ type: 'listening', port: await server.listen(0, '127.0.0.1') });
  await tellAgent({ type: 'ready' });
  await ended;
  server.close();
  proxy.close();
  return 0;
}

// Kept connections to the versions must not keep an ended proxy alive.
void runMain(main).then(() => process.exit());

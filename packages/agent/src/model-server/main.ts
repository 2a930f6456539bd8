import { Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { AppError, toAppError } from '@selvedge/contract';
import { createLogger, exitWithParent, type Logger, runMain } from '@selvedge/runtime';
import { type FromModelServer, toModelServerSchema } from '../domain/model-process-messages.ts';
import { type ServedPackage, servePackage } from './serve-package.ts';

const USAGE = 'model-server --package DIR [--port N] [--host ADDRESS] [--threads N]';

function readFlags() {
  const { values } = parseArgs({
    options: {
      package: { type: 'string' },
      port: { type: 'string', default: '8080' },
      host: { type: 'string', default: '127.0.0.1' },
      threads: { type: 'string', default: '1' },
    },
  });
  const port = Number(values.port);
  const threads = Number(values.threads);
  if (values.package === undefined || !Number.isInteger(port) || port < 0 || port > 65_535 || !Number.isInteger(threads) || threads < 1) {
    throw new AppError('USAGE', { message: 'The command line is not valid.', hint: `Usage: ${USAGE}` });
  }
  return { folder: values.package, port, host: values.host, threads };
}

/** Sends to the agent; resolves when it is written. Nothing happens when there is no agent. */
function tell(message: FromModelServer): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, undefined, {}, () => resolve());
  });
}

function obeyAgent(served: ServedPackage, log: Logger): void {
  process.on('message', (raw: unknown, handle: unknown) => {
    const message = toModelServerSchema.safeParse(raw);
    if (!message.success) {
      log.warn('the agent sent a message that is not known');
      return;
    }
    const { type } = message.data;
    if (type === 'connection' && handle instanceof Socket) served.server.take(handle);
    if (type === 'ping') void tell({ type: 'pong', oldestRequestMs: served.server.oldestRequestMs() });
    if (type === 'resume') served.server.resume();
    if (type === 'drain') void served.server.drain().then(() => tell({ type: 'drained' }));
  });
}

async function main(signal: AbortSignal): Promise<number> {
  const log = createLogger({ name: 'model-server' });
  const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  // The agent is gone: whatever is under way has nobody to answer for it any more.
  exitWithParent(() => process.exit(0));
  process.on('disconnect', () => process.exit(0));
  try {
    const flags = readFlags();
    const served = await servePackage({ ...flags, log });
    obeyAgent(served, log);
    await tell({ type: 'listening', port: served.port });
    if (process.send === undefined) log.info('listening', { url: `http://${flags.host}:${served.port}` });
    await served.ready;
    await tell({ type: 'ready' });
    await ended;
    served.server.close();
    return 0;
  } catch (thrown) {
    const error = toAppError(thrown);
    await tell({ type: 'failed', code: error.code, message: error.message });
    throw error;
  }
}

await runMain(main);
// Native threads or a parent's pipe must not keep an ended server alive.
process.exit();

import { parseArgs } from 'node:util';
import { AppError, toAppError } from '@selvedge/contract';
import { createLogger, exitWithParent, runMain } from '@selvedge/runtime';
import { obeyAgent, tellAgent } from './agent-channel.ts';
import { servePackage } from './serve-package.ts';

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

async function main(signal: AbortSignal): Promise<number> {
  const log = createLogger({ name: 'model-server' });
  const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  // The agent is gone: whatever is under way has nobody to answer for it any more.
  exitWithParent(() => process.exit(0));
  process.on('disconnect', () => process.exit(0));
  try {
    const flags = readFlags();
    const served = await servePackage({ ...flags, log });
    const { server } = served;
    obeyAgent(
      server,
      () => server.oldestRequestMs(),
      () => log.warn('the agent sent a message that is not known'),
    );
    await tellAgent({ type: 'listening', port: served.port });
    if (process.send === undefined) log.info('listening', { url: `http://${flags.host}:${served.port}` });
    await served.ready;
    await tellAgent({ type: 'ready' });
    await ended;
    server.close();
    return 0;
  } catch (thrown) {
    const error = toAppError(thrown);
    await tellAgent({ type: 'failed', code: error.code, message: error.message });
    throw error;
  }
}

// Native threads or a parent's pipe must not keep an ended server alive.
void runMain(main).then(() => process.exit());

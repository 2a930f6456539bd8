import { createLogger, exitWithParent, keepAllocatorFromChildren, runMain } from '@selvedge/runtime';
import { readServerConfig, USAGE } from './command-line.ts';
import { startServer } from './server.ts';

/** A part that does not end in time must not keep the port; nothing acknowledged is lost by it. */
const STOP_LIMIT_MS = 5000;

await runMain(async (signal) => {
  keepAllocatorFromChildren();
  const config = readServerConfig(process.argv.slice(2), process.env, import.meta.url);
  if (config === undefined) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const log = createLogger({ name: 'server', level: config.logLevel });
  const parentGone = new AbortController();
  exitWithParent(() => parentGone.abort());
  const server = await startServer(config, log);
  process.stdout.write(`${JSON.stringify(server.ready)}\n`);
  await aborted(AbortSignal.any([signal, parentGone.signal]));
  log.info('stopping');
  const limit = setTimeout(() => {
    log.error('stopping takes too long; ended anyway');
    process.exit(1);
  }, STOP_LIMIT_MS);
  await server.stop();
  clearTimeout(limit);
  // Nothing is left to do; a socket that a client keeps half open must not delay the end.
  process.exit(0);
});

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

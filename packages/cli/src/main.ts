import { processTerminal } from './process-terminal.ts';
import { runCli } from './run-cli.ts';

const INTERRUPTED = 130;
const controller = new AbortController();

// The first signal lets the command end in order; a second one ends it at once.
function onSignal(): void {
  if (controller.signal.aborted) process.exit(INTERRUPTED);
  controller.abort();
}
process.on('SIGINT', onSignal);
process.on('SIGTERM', onSignal);

// A reader that went away (`selvedge run list | head`) is no error.
process.stdout.on('error', (error) => {
  if ('code' in error && error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  get stdin() {
    return process.stdin; // opening it costs time and keeps a handle: only for the command that reads it
  },
  get terminal() {
    return processTerminal();
  },
  stdout: process.stdout,
  stderr: process.stderr,
  signal: controller.signal,
  now: Date.now,
});
process.off('SIGINT', onSignal);
process.off('SIGTERM', onSignal);

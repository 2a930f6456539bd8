import { resolve } from 'node:path';
import { AppError, type Operation } from '@selvedge/contract';
import type { Command } from 'commander';
import { ChildEnded } from '../child-ended.ts';
import { followOutput } from '../follow/follow-output.ts';
import { operationFailure, watchOperation } from '../follow/watch-operation.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { integer, seconds } from '../options.ts';
import { collectedOutput, filesOutput, plainOutput, prefixedOutput } from '../output/device-output.ts';
import { describeOperation } from '../output/operation-text.ts';
import { openSession, type Session } from '../session.ts';

interface ExecOptions {
  selector?: string;
  timeout: number;
  parallel?: number;
  outputDir?: string;
}

const DAY_S = 86_400;

/** Of one device its own exit code; of several 6 when any has failed. */
function execFailure(operation: Operation): Error | undefined {
  const { devices } = operation.status;
  const failed = devices.filter(({ state }) => state !== 'succeeded');
  const [first] = failed;
  if (first === undefined) return undefined;
  if (devices.length > 1) {
    const issues = failed.map(({ device, error, state }) => ({ path: device, message: error?.message ?? state }));
    return new AppError('OPERATION_FAILED', { message: `${failed.length} of ${devices.length} devices failed.`, issues });
  }
  const hasOwnCode = first.error?.code === 'OPERATION_FAILED' && first.exitCode !== null && first.exitCode !== 0;
  return hasOwnCode ? new ChildEnded(first.exitCode ?? 1) : operationFailure(operation);
}

async function showOutput(session: Session, operation: Operation, options: ExecOptions): Promise<void> {
  const { io } = session;
  const devices = operation.status.devices.map(({ device }) => device);
  const read = async () => {
    const ended = await watchOperation(session, operation.metadata.name);
    const failure = execFailure(ended);
    return { ended, failure };
  };
  if (session.settings.output !== 'table') {
    const sink = collectedOutput(io);
    await followOutput(session, operation, sink, io.signal);
    const { ended, failure } = await read();
    const results = ended.status.devices.map(({ device, state, exitCode, error }) => ({
      device,
      state,
      exitCode,
      error,
      ...sink.of(device),
    }));
    await session.result({ operation: ended.metadata.name, devices: results }, () => '');
    if (failure !== undefined) throw failure;
    return;
  }
  const several = options.outputDir !== undefined ? await filesOutput(io, resolve(io.cwd, options.outputDir)) : prefixedOutput(io, devices);
  const isPlain = options.outputDir === undefined && devices.length === 1;
  try {
    await followOutput(session, operation, isPlain ? plainOutput(io) : several, io.signal);
  } finally {
    await several.finish();
  }
  const { failure } = await read();
  if (failure !== undefined) throw failure;
}

export function registerDeviceExec(command: Command, io: Io): void {
  const exec = command
    .command('exec [device] [command...]')
    .description('run a command on a device, or on all with these labels; the device allows or refuses it')
    .option('-l, --selector <labels>', 'the devices with these labels instead of one, like site=plant-3')
    .option('--timeout <span>', 'how long it may take on each device (default: 60s)', seconds(1, DAY_S, '1s to 1d'), 60)
    .option('--parallel <count>', 'on so many devices at one time (default: 8)', integer(1, 10_000))
    .option('--output-dir <folder>', 'write what each device writes into a file of its own')
    .action(async (device: string | undefined, words: string[], options: ExecOptions, called: Command) => {
      const { selector, timeout, parallel } = options;
      const argv = selector === undefined || device === undefined ? words : [device, ...words];
      if (argv.length === 0 || (selector === undefined && device === undefined))
        throw new AppError('USAGE', { message: 'Give a device (or -l LABELS) and, behind "--", a command.' });
      const session = await openSession(called, io);
      const operation = await session.client.createOperation({
        body: {
          task: { type: 'exec', argv, timeoutS: timeout },
          ...(selector === undefined ? { device: device ?? '' } : { selector }),
          ...(parallel === undefined ? {} : { parallel }),
        },
        signal: io.signal,
      });
      await showOutput(session, operation, options);
    });
  finishLeaf(exec, {
    examples: [
      'selvedge device exec edge-1 -- uptime',
      'selvedge device exec -l site=plant-3 --parallel 20 -- systemctl status selvedge-agent',
    ],
    notes:
      "Nothing is interpreted by a shell. What a device allows stands in agent.json on it. The exit code is the command's with one device, 6 with several of which any failed. Ctrl-C ends the command on the devices.",
  });
}

async function run(session: Session, device: string, task: Operation['spec']['task']): Promise<void> {
  const { client, io } = session;
  const created = await client.createOperation({ body: { task, device }, signal: io.signal });
  const operation = await watchOperation(session, created.metadata.name);
  const failure = operationFailure(operation);
  if (failure !== undefined) throw failure;
  await session.result(operation, () => describeOperation(session, operation));
}

export function registerDeviceActions(command: Command, io: Io): void {
  const restart = command
    .command('restart-workload <device> <workload>')
    .description('start a workload on a device again, on the version that it serves')
    .action(async (device: string, workload: string, _options: unknown, called: Command) =>
      run(await openSession(called, io), device, { type: 'restart-workload', workload }),
    );
  finishLeaf(restart, { examples: ['selvedge device restart-workload edge-1 fruit'] });
  const reboot = command
    .command('reboot <device>')
    .description('reboot a device that allows it')
    .option('--delay <span>', 'when (default: at once)', seconds(0, 3600, '0s to 1h'), 0)
    .action(async (device: string, { delay }: { delay: number }, called: Command) =>
      run(await openSession(called, io), device, { type: 'reboot', delayS: delay }),
    );
  finishLeaf(reboot, { examples: ['selvedge device reboot edge-1 --delay 1m'] });
}

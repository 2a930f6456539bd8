import { type DeviceLogEvent, deviceLogEventSchema } from '@selvedge/contract';
import type { Command } from 'commander';
import { followLines } from '../follow/follow-lines.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { integer, seconds } from '../options.ts';
import { openSession } from '../session.ts';

interface LogsOptions {
  workload?: string;
  follow?: boolean;
  lines?: number;
  since?: number;
}
type Line = Extract<DeviceLogEvent, { type: 'line' }>;

export function registerDeviceLogs(command: Command, io: Io): void {
  const logs = command
    .command('logs <device>')
    .description("print the log of a device's agent or of a workload on it")
    .option('--workload <name>', 'of this workload instead of the agent')
    .option('-f, --follow', 'go on as it grows')
    .option('-n, --lines <count>', 'the last so many (default: 100, or all with --since)', integer(0, 100_000))
    .option('--since <span>', 'not older than this, like 10m', seconds(1, 365 * 86_400, '1s to 365d'))
    .action(async (device: string, { workload, follow, lines, since }: LogsOptions, called: Command) => {
      const session = await openSession(called, io);
      const begin = {
        ...(lines === undefined ? {} : { tail: lines }),
        ...(since === undefined ? {} : { since: new Date(io.now() - since * 1000).toISOString() }),
      };
      const collected: Line[] = [];
      const asLines = session.settings.output === 'table' || follow === true;
      let last: number | undefined;
      await followLines(session, {
        open: (signal) => {
          const query = {
            ...(workload === undefined ? {} : { workload }),
            ...(follow === true ? { follow: '1' as const } : {}),
            ...(last === undefined ? begin : { after: last }),
          };
          return session.client.stream('getDeviceLogs', { params: { name: device }, query, signal });
        },
        schema: deviceLogEventSchema,
        take: (event) => {
          if (event.type === 'gap') {
            session.note('(lines in between are no longer on the device)');
            return;
          }
          last = event.sequence;
          if (!asLines) collected.push(event);
          else io.stdout.write(session.settings.output === 'table' ? `${event.text}\n` : `${JSON.stringify(event)}\n`);
        },
        isDone: () => follow !== true,
        signal: io.signal,
      });
      if (!asLines) await session.result({ device, workload: workload ?? null, lines: collected }, () => '');
    });
  finishLeaf(logs, {
    examples: ['selvedge device logs edge-1 -f', 'selvedge device logs edge-1 --workload fruit --since 10m'],
    notes: 'Lines are read from the device, which keeps the newest of them. After a lost connection it goes on where it was.',
  });
}

import type { Command } from 'commander';
import { operationFailure, watchOperation } from '../follow/watch-operation.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { integer } from '../options.ts';
import { describeOperation, operationTable } from '../output/operation-text.ts';
import { getOne, listAll, newestFirst } from '../resources.ts';
import { openSession } from '../session.ts';

interface ListOptions {
  device?: string;
  limit: number;
}

export function registerOperation(command: Command, io: Io): void {
  const list = command
    .command('list')
    .description('show what was asked of devices, the newest first')
    .option('--device <name>', 'only what concerns this device')
    .option('--limit <count>', 'at most so many', integer(1, 10_000), 50)
    .action(async ({ device, limit }: ListOptions, called: Command) => {
      const session = await openSession(called, io);
      const all = await listAll(session, 'Operation');
      const concerned = device === undefined ? all : all.filter(({ status }) => status.devices.some((one) => one.device === device));
      const items = newestFirst(concerned).slice(0, limit);
      await session.result({ items }, () => (items.length === 0 ? '' : operationTable(session, items)));
      if (items.length === 0) session.note('Nothing was asked of devices yet.');
    });
  finishLeaf(list, { examples: ['selvedge operation list', 'selvedge operation list --device edge-1 -o json'] });
  const show = command
    .command('show <name>')
    .description('show an operation: who asked what, and what came of it on each device')
    .action(async (name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const operation = await getOne(session, 'Operation', name);
      await session.result(operation, () => describeOperation(session, operation));
    });
  finishLeaf(show, { examples: ['selvedge operation show op-20260102-101500-a1b2c3'] });
  const watch = command
    .command('watch <name>')
    .description('follow an operation to its end')
    .action(async (name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const operation = await watchOperation(session, name);
      await session.result(operation, () => describeOperation(session, operation));
      const failure = operationFailure(operation);
      if (failure !== undefined) throw failure;
    });
  finishLeaf(watch, { examples: ['selvedge operation watch op-20260102-101500-a1b2c3'] });
  const cancel = command
    .command('cancel <name>')
    .description('end an operation on the devices where it has not ended yet')
    .action(async (name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const operation = await session.client.cancelOperation({ params: { name }, signal: io.signal });
      await session.result(operation, () => describeOperation(session, operation));
    });
  finishLeaf(cancel, { examples: ['selvedge operation cancel op-20260102-101500-a1b2c3'] });
}

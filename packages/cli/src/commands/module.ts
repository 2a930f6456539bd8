import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { openSession } from '../session.ts';
import { moduleTable } from './status.ts';

export function registerModule(command: Command, io: Io): void {
  const list = command
    .command('list')
    .description('show every tool, its state and what it is busy with')
    .action(async (_options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const modules = await session.client.listModules({ signal: io.signal });
      await session.result(modules, () => (modules.items.length === 0 ? '' : moduleTable(session, modules.items)));
      if (modules.items.length === 0) session.note('The server runs no modules.');
    });
  finishLeaf(list, { examples: ['selvedge module list'] });
}

import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { formatAge } from '../output/format.ts';
import { openSession } from '../session.ts';

export function registerOpen(command: Command, io: Io): void {
  command.action(async (_options: unknown, called: Command) => {
    const session = await openSession(called, io);
    const { path, expiresAt } = await session.client.createLoginCode({ signal: io.signal });
    const url = `${session.settings.serverUrl}${path}`;
    await session.result({ url, expiresAt }, () => url);
    session.note(`Open it in a browser; it works once, within ${formatAge(Date.parse(expiresAt) - io.now())}.`);
  });
  finishLeaf(command, { examples: ['selvedge open'] });
}

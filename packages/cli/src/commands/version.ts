import { toAppError } from '@selvedge/contract';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { renderFields } from '../output/table.ts';
import { openSession, type Session } from '../session.ts';
import { VERSION } from '../version.ts';

async function serverVersion(session: Session): Promise<string | null> {
  try {
    return (await session.client.getHealth({ signal: session.io.signal })).version;
  } catch (error) {
    if (toAppError(error).code === 'SERVER_UNREACHABLE') return null; // an expected state: this command needs no server
    throw error;
  }
}

export function registerVersion(command: Command, io: Io): void {
  command.action(async (_options: unknown, called: Command) => {
    const session = await openSession(called, io);
    const server = await serverVersion(session);
    const value = { cli: VERSION, server, node: process.versions.node };
    await session.result(value, () =>
      renderFields([
        ['selvedge', VERSION],
        ['server', server ?? `not reachable at ${session.settings.serverUrl}`],
        ['node', process.versions.node],
      ]),
    );
  });
  finishLeaf(command, { examples: ['selvedge version'] });
}

import type { Module } from '@selvedge/contract';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { ageOf, formatAge, orDash } from '../output/format.ts';
import { renderFields, renderTable } from '../output/table.ts';
import { openSession, type Session } from '../session.ts';

export function moduleTable(session: Session, modules: readonly Module[]): string {
  const rows = modules.map((module) => [
    module.name,
    session.state(module.state),
    orDash(module.busyWith),
    String(module.queued),
    String(module.restarts),
    orDash(module.pid?.toString()),
    ageOf(module.since, session.io.now()),
  ]);
  return renderTable(['MODULE', 'STATE', 'BUSY WITH', 'QUEUED', 'RESTARTS', 'PID', 'SINCE'], rows);
}

export function registerStatus(command: Command, io: Io): void {
  command.action(async (_options: unknown, called: Command) => {
    const session = await openSession(called, io);
    const health = await session.client.getHealth({ signal: io.signal });
    await session.result(health, () => {
      const facts = renderFields([
        ['Server', session.settings.serverUrl],
        ['Status', session.state(health.status)],
        ['Version', health.version],
        ['Up for', formatAge(health.uptimeS * 1000)],
        ['Devices', `${health.devices.online} of ${health.devices.total} online (port ${health.devicePort})`],
      ]);
      return health.modules.length === 0 ? facts : `${facts}\n\n${moduleTable(session, health.modules)}`;
    });
    if (health.status === 'degraded')
      session.note('A module does not work; the server starts it again by itself. Its log is in the data folder.');
    if (health.devices.total === 0) session.note('No device yet: "selvedge device token" lets one join.');
  });
  finishLeaf(command, { examples: ['selvedge status', 'selvedge status --server http://edge-server:7070 -o json'] });
}

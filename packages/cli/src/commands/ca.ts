import type { CaStatus } from '@selvedge/contract';
import { AppError } from '@selvedge/contract';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { renderFields, renderTable } from '../output/table.ts';
import { openSession } from '../session.ts';

function describeCa({ current, next, retired, devices, tokens }: CaStatus): string {
  const until = (notAfter: string) => `until ${notAfter.slice(0, 10)}`;
  const facts: [string, string][] = [['Authority', `${current.sha256}, ${until(current.notAfter)}`]];
  if (next !== null) {
    facts.push(['Next', `${next.sha256}, ${until(next.notAfter)}`]);
    facts.push(['Ready for it', `${devices.ready} of ${devices.total} devices`]);
    facts.push(['Tokens', `${tokens} that would end with the present one`]);
  }
  for (const one of retired) facts.push(['Retired', one.sha256]);
  const parts = [renderFields(facts)];
  if (devices.waiting.length > 0) {
    const rows = devices.waiting.map(({ device, online, reason }) => [device, online ? 'online' : 'offline', reason]);
    parts.push(renderTable(['NOT READY', 'STATE', 'REASON'], rows));
  }
  return parts.join('\n\n');
}

export function registerCa(command: Command, io: Io): void {
  const show = command
    .command('show')
    .description('show the certificate authorities, and how far a change of them has come')
    .action(async (_options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const status = await session.client.getCaStatus({ signal: io.signal });
      await session.result(status, () => describeCa(status));
    });
  finishLeaf(show, { examples: ['selvedge ca show'] });
  const rotate = command
    .command('rotate')
    .description('change the certificate authority: devices follow by themselves, and the change ends when all have')
    .option('--finish', 'end it now; refused while a device is not ready or a join token would end')
    .option('--force', 'with --finish: leave behind who is not ready; those have to join again')
    .action(async (options: { finish?: boolean; force?: boolean }, called: Command) => {
      if (options.force === true && options.finish !== true) throw new AppError('USAGE', { message: '--force goes with --finish.' });
      const session = await openSession(called, io);
      const status = await session.client.rotateCa({
        body: options.finish === true ? { finish: true, force: options.force === true } : {},
        signal: io.signal,
      });
      await session.result(status, () => describeCa(status));
      if (status.next !== null) session.note('Devices follow as they are online; "selvedge ca show" tells how far it is.');
    });
  finishLeaf(rotate, { examples: ['selvedge ca rotate', 'selvedge ca rotate --finish', 'selvedge ca rotate --finish --force'] });
}

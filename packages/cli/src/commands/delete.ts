import { KINDS } from '@selvedge/contract';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { parseKind } from '../resources.ts';
import { openSession } from '../session.ts';

export function registerDelete(command: Command, io: Io): void {
  command
    .argument('<kind>', 'kind, like Pipeline or pipelines')
    .argument('<name>', 'name of the resource')
    .action(async (kindText: string, name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const kind = parseKind(kindText);
      await session.client.deleteResource({ params: { plural: KINDS[kind].plural, name }, signal: io.signal });
      await session.result({ kind, name, action: 'deleted' }, () => `${kind}/${name} deleted`);
    });
  finishLeaf(command, { examples: ['selvedge delete InferenceModel digits'] });
}

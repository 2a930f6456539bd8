import type { Command } from 'commander';
import { parseDatasetReference } from '../data/dataset-reference.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { orDash } from '../output/format.ts';
import { renderTable } from '../output/table.ts';
import { openSession } from '../session.ts';

export function registerLineage(command: Command, io: Io): void {
  const devices = command
    .command('devices')
    .description('show the devices that serve a model made from a dataset')
    .requiredOption('--dataset <name[@version]>', 'dataset, or one version of it')
    .action(async (options: { dataset: string }, called: Command) => {
      const { name, version } = parseDatasetReference(options.dataset);
      const session = await openSession(called, io);
      const query = version === undefined ? {} : { version };
      const impact = await session.client.getDatasetImpact({ params: { name }, query, signal: io.signal });
      const rows = impact.devices.map((one) => [
        one.device,
        `${one.model}:${one.version}`,
        `${name}@${one.datasetVersion}`,
        one.deployment,
        session.state(one.state),
        orDash(one.runtime),
      ]);
      await session.result(impact, () =>
        rows.length === 0 ? '' : renderTable(['DEVICE', 'MODEL', 'DATASET', 'DEPLOYMENT', 'STATE', 'RUNTIME'], rows),
      );
      if (rows.length > 0) return;
      const models = impact.models.map((one) => `${one.model}:${one.version}`).join(', ');
      session.note(`No device serves a model made from ${options.dataset}. Models made from it: ${orDash(models)}`);
    });
  finishLeaf(devices, {
    examples: ['selvedge lineage devices --dataset digits@2', 'selvedge lineage devices --dataset digits -o json'],
  });
}

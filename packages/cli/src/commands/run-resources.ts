import type { JobResources, Run } from '@selvedge/contract';
import { formatDuration, orDash } from '../output/format.ts';
import { renderTable } from '../output/table.ts';

function gpusText({ granted }: JobResources): string {
  return orDash(granted.gpus.map((gpu) => `${gpu.index} ${gpu.name}`).join(', '));
}

/** What the steps that ran in a process of their own asked for, were given and used; empty when there is none. */
export function resourcesText({ status }: Run): string {
  const rows = status.steps.flatMap(({ name, resources }) => {
    if (resources === undefined) return [];
    const { asked, granted, used, enforcedBy = 'polling' } = resources;
    return [
      [
        name,
        formatDuration(used.cpuSeconds * 1000),
        `${Math.ceil(used.peakMemoryMiB)} MiB`,
        granted.memoryMiB === null ? 'none' : `${granted.memoryMiB} MiB`,
        asked.cpus === undefined ? `${granted.threads} (default)` : String(granted.threads),
        String(granted.nice),
        gpusText(resources),
        enforcedBy,
      ],
    ];
  });
  if (rows.length === 0) return '';
  return renderTable(['STEP', 'CPU TIME', 'PEAK MEMORY', 'LIMIT', 'CPUS', 'NICE', 'GPUS', 'ENFORCED BY'], rows);
}

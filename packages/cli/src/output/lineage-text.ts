import type { ModelLineage } from '@selvedge/contract';
import { orDash } from './format.ts';
import { oneLine } from './table.ts';

interface Branch {
  readonly text: string;
  readonly below?: readonly Branch[];
}

function draw(branches: readonly Branch[], indent: string): string[] {
  return branches.flatMap(({ text, below = [] }, i) => {
    const last = i === branches.length - 1;
    return [`${indent}${last ? '└─ ' : '├─ '}${oneLine(text)}`, ...draw(below, `${indent}${last ? '   ' : '│  '}`)];
  });
}

function parameterBranches(parameters: Readonly<Record<string, unknown>>): Branch[] {
  return Object.entries(parameters).map(([name, value]) => ({ text: `${name}: ${JSON.stringify(value)}` }));
}

function originBranches({ origin }: ModelLineage): Branch[] {
  if (origin === null) return [{ text: 'made by no run' }];
  const { dataset } = origin;
  return [
    {
      text: `run ${origin.run}${origin.cause === null ? ' (removed)' : ` (${origin.cause})`}`,
      below: [
        {
          text: `pipeline ${origin.pipeline}, generation ${origin.pipelineGeneration}${origin.task === null ? '' : `, task ${origin.task}`}`,
        },
        { text: `dataset ${dataset.name}@${dataset.version}${dataset.removed ? ' (removed)' : ''} ${dataset.digest}` },
        ...Object.entries(origin.models ?? {}).map(([version, sha256]) => ({ text: `made from model ${version}, ${sha256}` })),
        ...origin.evaluations.map(({ name, version, samples, digest }) => ({
          text: `measured on ${name}@${version} (${samples} samples) ${digest}`,
        })),
        { text: 'parameters', below: parameterBranches(origin.parameters) },
        { text: 'code', below: Object.entries(origin.tools).map(([tool, digest]) => ({ text: `${tool} ${digest}` })) },
      ],
    },
  ];
}

/** A version with what it was made from and where it serves, as a tree. */
export function lineageTree(lineage: ModelLineage): string {
  const { model, version, aliases, note, file, packages, deployments, devices } = lineage;
  const branches: Branch[] = [
    ...(note === null ? [] : [{ text: `note: ${note}` }]),
    { text: `file sha256 ${file.sha256}` },
    ...originBranches(lineage),
    {
      text: packages.length === 0 ? 'packages: none' : 'packages',
      below: packages.map((one) => ({ text: `${one.name} (${one.phase.toLowerCase()}) ${orDash(one.archiveSha256)}` })),
    },
    {
      text: deployments.length + devices.length === 0 ? 'deployments: none' : 'deployments',
      below: [...new Set([...deployments, ...devices.map(({ deployment }) => deployment)])].map((deployment) => ({
        text: deployment,
        below: devices
          .filter((one) => one.deployment === deployment)
          .map(({ device, state, runtime }) => ({ text: `${device}: ${state}${runtime === null ? '' : ` by ${runtime}`}` })),
      })),
    },
  ];
  const head = `${model}:${version}${aliases.length === 0 ? '' : ` (${aliases.join(', ')})`}`;
  return [oneLine(head), ...draw(branches, '')].join('\n');
}

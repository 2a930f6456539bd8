import type { ReactNode } from 'react';
import { useWeightHistograms } from '../../lib/containers.ts';
import { formatNumber } from '../../lib/format.ts';
import { Histogram } from '../../ui/histogram.tsx';
import { QueryView } from '../../ui/query-view.tsx';

/** How the values of each weight of a model are spread, as TensorBoard is shown it. */
export function ArtifactWeights({ tool, artifact }: { tool: string; artifact: string }): ReactNode {
  const weights = useWeightHistograms(tool, artifact);
  return (
    <div className="p-4">
      <QueryView query={weights} label="weights" rows={4}>
        {(all) => (
          <ul className="grid grid-cols-[repeat(auto-fill,minmax(10rem,1fr))] gap-x-5 gap-y-4">
            {all.map(({ name, count, min, max, mean, buckets }) => (
              <li key={name} className="min-w-0">
                <div className="flex items-baseline justify-between gap-2 text-xs">
                  <span className="truncate text-ink-2" title={name}>
                    {name}
                  </span>
                  <span className="shrink-0 tabular-nums text-ink-3">{count.toLocaleString('en')}</span>
                </div>
                <Histogram
                  buckets={buckets}
                  label={`${name}: ${count} values from ${formatNumber(min)} to ${formatNumber(max)}, mean ${formatNumber(mean)}`}
                />
                <div className="flex justify-between border-t border-line pt-0.5 text-xs tabular-nums text-ink-3">
                  <span>{formatNumber(min)}</span>
                  <span>{formatNumber(max)}</span>
                </div>
              </li>
            ))}
          </ul>
        )}
      </QueryView>
    </div>
  );
}

import type { DatasetVersion } from '@selvedge/contract';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useBackend } from '../../lib/queries.ts';
import { Card } from '../../ui/card.tsx';
import { KeyValue } from '../../ui/key-value.tsx';
import { QueryView } from '../../ui/query-view.tsx';

const referenceOf = ({ spec }: DatasetVersion) => `${spec.dataset}@${spec.version}`;

/** What a version has against the one before it. */
export function DatasetChanges({ from, to }: { from: DatasetVersion; to: DatasetVersion }): ReactNode {
  const { client } = useBackend();
  const query = { from: referenceOf(from), to: referenceOf(to) };
  const diff = useQuery({
    queryKey: ['dataset-diff', query.from, query.to],
    queryFn: ({ signal }) => client.diffDatasets({ query, signal }),
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (
    <Card title={`Since version ${from.spec.version}`}>
      <QueryView query={diff} label="changes" rows={4}>
        {({ counts, labels }) => (
          <KeyValue
            wrap
            items={[
              ...(['added', 'removed', 'changed', 'moved', 'unchanged'] as const).map(
                (name) => [name.charAt(0).toUpperCase() + name.slice(1), counts[name].toLocaleString('en')] as const,
              ),
              ...(labels.added.length === 0 ? [] : [['New classes', labels.added.join(', ')] as const]),
              ...(labels.removed.length === 0 ? [] : [['Classes gone', labels.removed.join(', ')] as const]),
            ]}
          />
        )}
      </QueryView>
    </Card>
  );
}

import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useList } from '../../lib/queries.ts';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { OperationList } from './operation-list.tsx';

/** Everything that was asked of devices, by whom, and how it stands. */
export function OperationsPage(): ReactNode {
  const operations = useList('Operation');
  return (
    <Page
      title="Operations"
      trail={
        <Link to="/devices" className="hover:underline">
          Devices
        </Link>
      }
      actions={<CliHint commands={['selvedge operation list']} />}
    >
      <Card flush>
        <QueryView query={operations} label="operations" rows={6}>
          {(list) => <OperationList operations={list} />}
        </QueryView>
      </Card>
    </Page>
  );
}

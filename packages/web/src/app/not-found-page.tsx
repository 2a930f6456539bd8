import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { buttonClasses } from '../ui/button.tsx';
import { EmptyState } from '../ui/empty-state.tsx';
import { Page } from '../ui/page.tsx';

export function NotFoundPage(): ReactNode {
  return (
    <main>
      <Page title="No such page">
        <EmptyState
          icon="search"
          title="There is no page at this address"
          action={
            <Link to="/" className={buttonClasses('primary')}>
              Go to the overview
            </Link>
          }
        >
          The link may come from another version of Selvedge.
        </EmptyState>
      </Page>
    </main>
  );
}

import type { ReactNode } from 'react';
import { ErrorState } from './error-state.tsx';
import { SkeletonRows } from './skeleton.tsx';

interface QueryLike<T> {
  data: T | undefined;
  error: unknown;
  isPending: boolean;
  refetch: () => unknown;
}

/** The three faces of a query: loading, failed, there. Data that is there stays while a refetch fails. */
export function QueryView<T>({
  query,
  label,
  rows,
  children,
}: {
  query: QueryLike<T>;
  label: string;
  rows?: number;
  children: (data: T) => ReactNode;
}): ReactNode {
  if (query.data !== undefined) return children(query.data);
  if (query.isPending) return <SkeletonRows label={label} {...(rows === undefined ? {} : { rows })} />;
  return <ErrorState error={query.error} retry={() => void query.refetch()} />;
}

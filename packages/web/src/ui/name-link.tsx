import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';

type ResourcePage =
  | '/datasets/$name'
  | '/devices/$name'
  | '/models/$name'
  | '/pipelines/$name'
  | '/rollouts/$name'
  | '/runs/$name'
  | '/tasks/$name';

/** A resource's name in a table: leads to its page, and is cut where the column is narrow. */
export function NameLink({ to, name }: { to: ResourcePage; name: string }): ReactNode {
  return (
    <Link to={to} params={{ name }} title={name} className="block truncate font-medium underline-offset-2 hover:underline">
      {name}
    </Link>
  );
}

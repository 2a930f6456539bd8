import { toAppError } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { Button } from './button.tsx';
import { Icon } from './icon.tsx';

/** What failed, in the server's words, what to do, and a way to try again. */
export function ErrorState({ error, retry }: { error: unknown; retry?: () => void }): ReactNode {
  const { code, details } = toAppError(error);
  return (
    <div role="alert" className="m-4 flex flex-wrap items-start gap-3 rounded-md border border-bad/40 bg-bad-soft p-3 text-sm">
      <Icon name="warning" className="mt-0.5 text-bad" />
      <div className="min-w-0 flex-1">
        <p className="font-medium break-words text-ink">{details.message}</p>
        {details.hint !== undefined && <p className="mt-0.5 text-ink-2">{details.hint}</p>}
        {details.issues !== undefined && (
          <ul className="mt-1 list-disc pl-5 text-ink-2">
            {details.issues.map((issue) => (
              <li key={`${issue.path}${issue.message}`}>
                <code className="font-mono text-xs">{issue.path}</code> {issue.message}
              </li>
            ))}
          </ul>
        )}
        <p className="mt-1 font-mono text-xs text-ink-2">{code}</p>
      </div>
      {retry !== undefined && (
        <Button size="sm" onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

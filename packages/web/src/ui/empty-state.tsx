import type { ReactNode } from 'react';
import { CodeBlock } from './code-block.tsx';
import { Icon, type IconName } from './icon.tsx';

export interface EmptyStateProps {
  icon: IconName;
  title: string;
  children: ReactNode;
  /** The command that does the next thing. */
  command?: string;
  action?: ReactNode;
}

/** Nothing is here yet: what this place is for, and what to do next. */
export function EmptyState({ icon, title, children, command, action }: EmptyStateProps): ReactNode {
  return (
    <div className="mx-auto flex max-w-lg flex-col items-center gap-3 px-4 py-10 text-center">
      <span className="grid size-10 place-items-center rounded-full border border-dashed border-line-strong text-ink-3">
        <Icon name={icon} size={18} />
      </span>
      <p className="text-lg font-semibold">{title}</p>
      <div className="text-sm text-ink-2">{children}</div>
      {action}
      {command !== undefined && (
        <div className="w-full text-left">
          <CodeBlock code={command} label={`Command to run next: ${command}`} />
        </div>
      )}
    </div>
  );
}

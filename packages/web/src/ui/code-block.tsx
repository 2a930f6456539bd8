import type { ReactNode } from 'react';
import { CopyButton } from './copy-button.tsx';
import { ScrollRegion } from './scroll-region.tsx';

/** Text to copy: a command, a document. Scrolls sideways instead of breaking lines. */
export function CodeBlock({ code, label }: { code: string; label: string }): ReactNode {
  return (
    <div className="flex min-w-0 items-start gap-1 rounded-md border border-line bg-sunken">
      <ScrollRegion label={label} className="min-w-0 flex-1 overflow-x-auto rounded-md">
        <pre className="px-3 py-2 font-mono text-xs leading-5 text-ink">
          <code>{code}</code>
        </pre>
      </ScrollRegion>
      <div className="p-1">
        <CopyButton text={code} />
      </div>
    </div>
  );
}

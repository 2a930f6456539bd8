import { type ReactNode, useEffect, useRef } from 'react';

export interface PageProps {
  title: string;
  /** Above the title: where this page hangs. */
  trail?: ReactNode;
  /** Beside the title: state, labels. */
  beside?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** A page: its title takes the focus when one comes to it, so that keyboard and screen reader start there. */
export function Page({ title, trail, beside, actions, children }: PageProps): ReactNode {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Selvedge`;
    heading.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [title]);
  return (
    <div className="mx-auto w-full max-w-7xl px-4 pt-5 pb-12 md:px-6">
      <div className="mb-4 flex min-h-8 flex-wrap items-center gap-x-3 gap-y-2">
        <div className="min-w-0 flex-1 basis-60">
          {trail !== undefined && <div className="mb-0.5 text-xs text-ink-3">{trail}</div>}
          <div className="flex min-w-0 flex-wrap items-center gap-x-3 gap-y-1">
            <h1 ref={heading} tabIndex={-1} title={title} className="max-w-full truncate text-xl font-semibold tracking-tight">
              {title}
            </h1>
            {beside}
          </div>
        </div>
        {actions !== undefined && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
      </div>
      {children}
    </div>
  );
}

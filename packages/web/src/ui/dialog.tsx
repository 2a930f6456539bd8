import { type MouseEvent, type ReactNode, type SyntheticEvent, useId, useLayoutEffect, useRef } from 'react';
import { IconButton } from './button.tsx';
import { classNames } from './class-names.ts';

export interface DialogProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  description?: ReactNode;
  children: ReactNode;
  /** Buttons at the foot. */
  footer?: ReactNode;
  wide?: boolean;
}

/**
 * A modal window. The browser's own `dialog` keeps the focus inside, makes the rest inert, and gives the focus back; it
 * needs no style element, which the Content-Security-Policy would refuse.
 */
export function Dialog({ open, ...rest }: DialogProps): ReactNode {
  return open ? <OpenDialog {...rest} /> : null;
}

/** A component of its own, so that it is closed while it still stands in the page: only then does the focus go back. */
function OpenDialog({ onOpenChange, title, description, children, footer, wide = false }: Omit<DialogProps, 'open'>): ReactNode {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  const onCancel = (event: SyntheticEvent) => {
    event.preventDefault();
    onOpenChange(false);
  };
  const onBackdrop = (event: MouseEvent) => {
    if (event.target === event.currentTarget) onOpenChange(false);
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the keyboard closes it with Escape (onCancel)
    <dialog
      ref={element}
      aria-labelledby={`${id}-title`}
      aria-describedby={description === undefined ? undefined : `${id}-description`}
      onCancel={onCancel}
      onClick={onBackdrop}
      className={classNames(
        'fixed inset-x-3 top-[8vh] mx-auto max-h-[84vh] w-auto flex-col rounded-xl border border-line bg-surface text-ink shadow-lifted backdrop:bg-black/45 backdrop:backdrop-blur-[1px] open:flex',
        wide ? 'max-w-2xl' : 'max-w-lg',
      )}
    >
      <div className="px-5 pt-4 pr-14 pb-2">
        <h2 id={`${id}-title`} className="text-lg font-semibold tracking-tight break-words">
          {title}
        </h2>
        {description !== undefined && (
          <p id={`${id}-description`} className="mt-0.5 text-sm text-ink-2">
            {description}
          </p>
        )}
      </div>
      <div className="min-h-0 overflow-y-auto px-5 py-2">{children}</div>
      {footer !== undefined && <div className="flex flex-wrap justify-end gap-2 border-t border-line px-5 py-3">{footer}</div>}
      {/* Last, so that the first field and not this button has the focus at first. */}
      <IconButton icon="cross" label="Close" className="absolute top-3 right-3" onClick={() => onOpenChange(false)} />
    </dialog>
  );
}

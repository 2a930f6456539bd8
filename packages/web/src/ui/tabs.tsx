import { type KeyboardEvent, type ReactNode, useId, useRef } from 'react';
import { classNames } from './class-names.ts';

interface TabItem<T extends string> {
  readonly id: T;
  readonly text: string;
  readonly count?: number;
}

export interface TabsProps<T extends string> {
  label: string;
  items: readonly TabItem<T>[];
  active: T;
  onChange: (id: T) => void;
  /** The panel of the active tab. */
  children: ReactNode;
}

/** Tabs by the ARIA pattern: one stop for Tab, arrows, Home and End move between them. */
export function Tabs<T extends string>({ label, items, active, onChange, children }: TabsProps<T>): ReactNode {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent) => {
    const index = items.findIndex((item) => item.id === active);
    const moves: Record<string, number> = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: items.length - 1 };
    const target = moves[event.key];
    if (target === undefined) return;
    event.preventDefault();
    const wrapped = (target + items.length) % items.length;
    const item = items[wrapped];
    if (item === undefined) return;
    onChange(item.id);
    list.current?.querySelectorAll<HTMLButtonElement>('[role=tab]')[wrapped]?.focus();
  };
  return (
    <>
      <div
        ref={list}
        role="tablist"
        aria-label={label}
        className="flex max-w-full gap-0.5 overflow-x-auto border-b border-line px-3"
        onKeyDown={onKeyDown}
      >
        {items.map((item) => (
          <button
            key={item.id}
            type="button"
            role="tab"
            id={`${id}-${item.id}`}
            aria-selected={item.id === active}
            aria-controls={`${id}-panel`}
            tabIndex={item.id === active ? 0 : -1}
            onClick={() => onChange(item.id)}
            className={classNames(
              'h-10 border-b-2 px-2.5 text-xs font-medium whitespace-nowrap focus-visible:-outline-offset-2',
              item.id === active ? 'border-accent text-ink' : 'border-transparent text-ink-2 hover:text-ink',
            )}
          >
            {item.text}
            {item.count !== undefined && <span className="ml-1.5 text-ink-3 tabular-nums">{item.count}</span>}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${active}`}>
        {children}
      </div>
    </>
  );
}

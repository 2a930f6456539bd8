import type { CSSProperties, ReactNode, Ref } from 'react';

export interface ScrollRegionProps {
  label: string;
  className: string;
  style?: CSSProperties;
  ref?: Ref<HTMLElement>;
  onScroll?: () => void;
  children: ReactNode;
}

/** A part of the page that scrolls by itself; it takes the focus so that the keyboard can scroll it. */
export function ScrollRegion({ label, children, ...rest }: ScrollRegionProps): ReactNode {
  return (
    <section
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard (WCAG 2.1.1)
      tabIndex={0}
      {...rest}
    >
      {children}
    </section>
  );
}

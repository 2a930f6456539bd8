import type { ReactNode } from 'react';

/** The mark: a weft thread that turns back at the edge of the cloth, and the red thread that runs along it. */
export function Mark({ size = 24 }: { size?: number }): ReactNode {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" className="shrink-0 text-ink">
      <g fill="none" stroke="currentColor" strokeWidth="2.6" strokeLinecap="round">
        <path d="M3 6h14.500a3.330 3.330 0 0 1 0 6.660H3" />
        <path d="M3 19.340h14.500a3.330 3.330 0 0 1 0 6.660H3" />
        <path d="M17.500 19.340a3.330 3.330 0 0 1 0-6.680" opacity="0.45" />
      </g>
      <path d="M27 3.500v25" stroke="var(--thread)" strokeWidth="2.600" strokeLinecap="round" strokeDasharray="4.200 6" />
    </svg>
  );
}

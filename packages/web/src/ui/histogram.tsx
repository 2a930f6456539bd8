import type { ReactNode } from 'react';

const WIDTH = 180;
const HEIGHT = 48;

/** Bars of one width; `label` says in words what they show. */
export function Histogram({ buckets, label }: { buckets: readonly number[]; label: string }): ReactNode {
  const highest = Math.max(1, ...buckets);
  const step = WIDTH / buckets.length;
  return (
    <svg role="img" aria-label={label} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" className="h-12 w-full text-accent">
      {buckets.map((count, at) => {
        const height = (count / highest) * (HEIGHT - 1);
        // biome-ignore lint/suspicious/noArrayIndexKey: a bucket is its place
        return <rect key={at} x={at * step} y={HEIGHT - height} width={Math.max(0.5, step - 1)} height={height} fill="currentColor" />;
      })}
    </svg>
  );
}

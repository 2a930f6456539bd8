import type { ReactNode } from 'react';
import { classNames } from './class-names.ts';

/** Line drawings on a 16 px grid, drawn for this page. */
const PATHS = {
  overview: 'M2 8.5a6 6 0 0 1 10.8-3.6M14 7.5a6 6 0 0 1-10.8 3.6M13 2v3h-3M3 14v-3h3',
  device:
    'M5 4.5h6a.5.5 0 0 1 .5.5v6a.5.5 0 0 1-.5.5H5a.5.5 0 0 1-.5-.5V5a.5.5 0 0 1 .5-.5zM6.5 2v2.5M9.5 2v2.5M6.5 11.500V14M9.5 11.500V14M2 6.500h2.5M2 9.500h2.5M11.500 6.500H14M11.500 9.500H14',
  run: 'M2 12.500h3l2-9 3 9.500 1.500-5H14',
  model: 'M8 1.800l5.500 3v6.400L8 14.200l-5.500-3V4.800zM2.500 4.800L8 7.900l5.500-3.100M8 7.900v6.300',
  dataset:
    'M2.500 4c0-1.200 2.500-2 5.500-2s5.500.8 5.500 2-2.500 2-5.500 2-5.500-.8-5.500-2zM2.500 4v8c0 1.200 2.500 2 5.500 2s5.500-.8 5.500-2V4M2.500 8c0 1.200 2.500 2 5.500 2s5.500-.8 5.500-2',
  task: 'M4 2.500h8v11H4zM6 6.200l1 1 2-2M6 10.500h4',
  pipeline: 'M2.500 3.500h4v3h-4zM9.500 9.500h4v3h-4zM4.500 6.500V11h5M6.500 5h5v4.500',
  tool: 'M3 5.500h10v7H3zM6 5.500v-2h4v2M3 8.500h10M8 7.700v1.600',
  deployment: 'M8 10V2M5 5l3-3 3 3M2.500 10v3.500h11V10',
  check: 'M3 8.500l3.200 3.200L13 4.800',
  cross: 'M4 4l8 8M12 4l-8 8',
  warning: 'M8 2.200L14.300 13H1.700zM8 6.500v3M8 11.200v.1',
  clock: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 5v3.200l2 1.300',
  dash: 'M4 8h8',
  spin: 'M8 2a6 6 0 1 1-5.700 4',
  copy: 'M6 6V3.500A1 1 0 0 1 7 2.500h5.500a1 1 0 0 1 1 1V9a1 1 0 0 1-1 1H10M3.500 6H9a1 1 0 0 1 1 1v5.500a1 1 0 0 1-1 1H3.500a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1z',
  terminal: 'M3 4.500L6.500 8 3 11.500M8 12h5',
  sun: 'M8 5.300a2.700 2.700 0 1 0 0 5.400 2.700 2.700 0 0 0 0-5.400zM8 1.500v1.300M8 13.200v1.300M1.500 8h1.300M13.200 8h1.300M3.400 3.400l.9.9M11.700 11.700l.9.9M3.400 12.600l.9-.9M11.700 4.300l.9-.9',
  moon: 'M13.500 9.500A5.800 5.800 0 0 1 6.500 2.500a5.800 5.800 0 1 0 7 7z',
  system: 'M2.500 3h11v7.500h-11zM6 13.500h4M8 10.500v3',
  up: 'M4.500 9.500L8 6l3.500 3.500',
  down: 'M4.500 6.500L8 10l3.500-3.500',
  left: 'M9.500 4.500L6 8l3.500 3.500',
  right: 'M6.500 4.500L10 8l-3.500 3.500',
  sort: 'M5 6.500l3-3 3 3M5 9.500l3 3 3-3',
  search: 'M7 2.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9zM10.300 10.300l3.200 3.200',
  plus: 'M8 3v10M3 8h10',
  play: 'M5 3l7.500 5L5 13z',
  pause: 'M5.500 3v10M10.500 3v10',
  stop: 'M4 4h8v8H4z',
  trash: 'M3 4.500h10M6.500 4.500V3h3v1.500M4.500 4.500l.5 9h6l.5-9M7 7v4M9 7v4',
  download: 'M8 2.500v7.500M5 7l3 3 3-3M2.500 13.500h11',
  picture: 'M2.500 3h11v10h-11zM5.500 5.300a1 1 0 1 0 0 2 1 1 0 0 0 0-2zM2.500 11.500l3.500-3 2.500 2 2.500-3 2.500 3',
  edit: 'M10.500 3l2.500 2.500L6 12.500l-3 .5.5-3z',
  out: 'M9.500 2.500h-6v11h6M6.500 8H14M11 5l3 3-3 3',
  log: 'M3 3.5h10M3 6.5h7M3 9.5h10M3 12.5h5',
  table: 'M2.500 3h11v10h-11zM2.500 6.500h11M2.500 9.800h11M6.500 3v10',
} as const;

export type IconName = keyof typeof PATHS;

/** Always beside a text, so it is hidden from screen readers. */
export function Icon({ name, size = 16, className }: { name: IconName; size?: number; className?: string | undefined }): ReactNode {
  return (
    <svg
      className={classNames('shrink-0', name === 'spin' && 'motion-safe:animate-spin', className)}
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.4"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

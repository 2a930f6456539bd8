import { randomBytes } from 'node:crypto';

/** A name for something that was asked for now, like `op-20260102-101500-a1b2c3`; names sort by time. */
export function nameByTime(prefix: string, now: Date): string {
  const [day = '', time = ''] = now.toISOString().split('T');
  return `${prefix}-${day.replaceAll('-', '')}-${time.slice(0, 8).replaceAll(':', '')}-${randomBytes(3).toString('hex')}`;
}

import type { MetricPoint } from '@selvedge/contract';
import { encodeEvents, fileVersionEvent } from './event-file.ts';
import type { EventMessage } from './event-message.ts';

/** TensorBoard's steps are whole numbers; a fraction is cut off. Values become 32-bit floats, as the format has them. */
export function scalarEvent({ metric, step, value, at }: MetricPoint): EventMessage {
  return { wallTime: Date.parse(at) / 1000, step: Math.trunc(step), summary: { value: [{ tag: metric, simpleValue: value }] } };
}

/** A whole event file with the points of metrics. */
export function scalarFile(points: readonly MetricPoint[]): Buffer {
  const events = points.map(scalarEvent);
  return encodeEvents([fileVersionEvent(events[0]?.wallTime ?? 0), ...events]);
}

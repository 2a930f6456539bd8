import type { Device } from '@selvedge/contract';
import type { ResourceDraft } from '../ports/store.ts';

/** A draft of a device that changes nothing but the status. */
export function deviceDraft(current: Device, status: Device['status']): ResourceDraft<'Device'> {
  const { name, labels, annotations } = current.metadata;
  return { name, labels, annotations, spec: current.spec, status };
}

import { AppError } from '@selvedge/contract';
import type { ResourceStore } from '../ports/store.ts';
import type { FleetView } from './fleet-view.ts';
import { readSelection } from './label-selection.ts';

/** What is asked of devices names them by one of these. */
export interface DeviceChoice {
  device?: string | undefined;
  devices?: readonly string[] | undefined;
  selector?: string | undefined;
}

/**
 * The devices that are meant: those that are named, each once, or those that match, by name.
 *
 * @throws AppError NOT_FOUND (user) when there is no such device, or none that matches; INPUT_INVALID (user).
 */
export async function chooseDevices(view: FleetView, store: ResourceStore, choice: DeviceChoice): Promise<string[]> {
  const { device, devices, selector } = choice;
  if (selector === undefined) {
    const named = new Set(devices ?? (device === undefined ? [] : [device]));
    const missing = [...named].find((name) => !view.devices.has(name));
    if (missing === undefined) return [...named];
    throw new AppError('NOT_FOUND', { message: `There is no device "${missing}".`, hint: '"selvedge device list" shows all devices.' });
  }
  const selection = await readSelection(store, selector);
  const found = [...view.devices.values()].filter(({ metadata }) => selection.matches(metadata.labels));
  if (found.length === 0)
    throw new AppError('NOT_FOUND', { message: `No device matches "${selector}".`, hint: '"selvedge device list" shows labels.' });
  return found.map(({ metadata }) => metadata.name).sort();
}

/** Where an initializer lies in the one vector that holds all of its kind. */
export interface Slot {
  readonly name: string;
  readonly dims: readonly number[];
  readonly offset: number;
  readonly length: number;
}

export interface DropoutMask {
  readonly name: string;
  readonly dims: readonly number[];
  readonly ratio: number;
}

/** Inputs of the training graph besides the network's own; each vector comes back under `next`. */
export const FEED = { labels: 'train.y', weights: 'train.weights', statistics: 'train.statistics' } as const;
/** Values of a model to be trained must not begin with this. */
export const RESERVED = 'train.';

/** Name of the output that holds the new value of a vector. */
export function next(vector: string): string {
  return `${vector}.next`;
}

/** Name under which a number or vector of the optimiser is fed. */
export function feedName(name: string): string {
  return `${RESERVED}${name}`;
}

export function slotsLength(slots: readonly Slot[]): number {
  return slots.reduce((sum, slot) => sum + slot.length, 0);
}

import { type Device, linkSeconds, type RolloutPolicy, type RolloutWave } from '@selvedge/contract';
import { countOf } from './rollout-policy.ts';

/** What the order of devices looks at. */
export type OrderedDevice = Pick<Device, 'metadata' | 'status'>;

/**
 * Devices in the order in which a rollout takes them. Whatever the order, those that are online come first within it where it says
 * nothing else: a first wave of devices that are away would try nothing.
 */
export function orderDevices<D extends OrderedDevice>(devices: readonly D[], order: RolloutPolicy['order']): D[] {
  const rank = rankOf(order);
  return [...devices].sort((a, b) => {
    const [ranks, others] = [rank(a), rank(b)];
    const differs = ranks.findIndex((value, at) => value !== others[at]);
    if (differs !== -1) return (ranks[differs] ?? 0) - (others[differs] ?? 0);
    const byPresence = Number(b.status.online) - Number(a.status.online);
    return byPresence !== 0 ? byPresence : a.metadata.name < b.metadata.name ? -1 : 1;
  });
}

/** Numbers that are compared one after the other; the smaller comes first. */
function rankOf(order: RolloutPolicy['order']): (device: OrderedDevice) => number[] {
  if (order === undefined || order === 'name') return () => [];
  if (order === 'link') return linkRank;
  const { label, values } = order;
  return ({ metadata }) => {
    const value = metadata.labels[label];
    const index = value === undefined ? -1 : values === undefined ? 0 : values.indexOf(value);
    return [index === -1 ? Number.MAX_SAFE_INTEGER : index];
  };
}

/** Connected over a link that costs nothing, connected over a metered one, away. */
function linkClass({ status }: OrderedDevice): number {
  if (!status.online) return 2;
  return status.workloads.some(({ held }) => held?.reason === 'metered') ? 1 : 0;
}

/** By the class of the link, within it by its measure; those without one come after those with one. */
function linkRank(device: OrderedDevice): number[] {
  const link = device.status.upkeep?.link;
  return [linkClass(device), link === undefined ? Number.MAX_VALUE : linkSeconds(link)];
}

/** How many devices each wave has; their sum is all. Sizes are cumulative, and a wave that would add no device is left out. */
export function waveSizes(policy: RolloutPolicy, total: number): number[] {
  const sizes: number[] = [];
  let taken = 0;
  for (const wave of [...(policy.waves ?? []), '100%']) {
    const until = countOf(wave, total);
    if (until <= taken) continue;
    sizes.push(until - taken);
    taken = until;
  }
  return sizes.length === 0 ? [0] : sizes;
}

/** @param sizes - devices of each wave. */
export function newWaves(sizes: readonly number[]): RolloutWave[] {
  return sizes.map((devices, index) => ({
    index,
    devices,
    state: 'waiting',
    startedAt: null,
    finishedAt: null,
    checks: [],
    message: '',
  }));
}

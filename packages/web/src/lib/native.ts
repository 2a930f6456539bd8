import { type Device, targetOf } from '@selvedge/contract';

/** Targets whose packages a device runs; empty while it has not said what it is. */
export function targetsOf({ status }: Device): readonly string[] {
  const { info } = status;
  if (info === null) return [];
  const own = targetOf(info.arch, info.platform);
  return info.targets ?? (own === undefined ? [] : [own]);
}

import { readFile } from 'node:fs/promises';

/**
 * Signal of the best wireless interface in dBm; null where there is none.
 *
 * @param text - of /proc/net/wireless: after the interface its status, link quality and signal level. Drivers that do not know dBm
 *   write a level of their own scale there, which is not below zero.
 */
export function parseWireless(text: string): number | null {
  const levels = text.split('\n').flatMap((line) => {
    const level = Number.parseFloat(/^\s*[^\s:|]+:\s+\S+\s+\S+\s+(-?\d+(?:\.\d*)?)/.exec(line)?.[1] ?? '');
    return level < 0 && level > -256 ? [level] : [];
  });
  return levels.length === 0 ? null : Math.max(...levels);
}

export async function readWifiDbm(): Promise<number | null> {
  try {
    return parseWireless(await readFile('/proc/net/wireless', 'utf8'));
  } catch {
    return null; // not Linux, or a kernel without it
  }
}

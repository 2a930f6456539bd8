import { execFile } from 'node:child_process';

export type LinkMetering = 'metered' | 'unmetered' | 'unknown';

/**
 * Whether NetworkManager takes a link that is up for metered, by itself or because it was told; unknown where it is not there.
 *
 * @see nm-settings-nmcli(5) GENERAL.METERED: yes, no, yes (guessed), no (guessed), unknown
 */
export function askLinkMetering(): Promise<LinkMetering> {
  return new Promise((resolve) => {
    execFile(
      'nmcli',
      ['-t', '-f', 'GENERAL.STATE,GENERAL.METERED', 'device', 'show'],
      { timeout: 5000, maxBuffer: 256 * 1024 },
      (error, stdout) => resolve(error === null ? readMetering(stdout) : 'unknown'),
    );
  });
}

/** Devices are told apart by empty lines; 100 is "connected". One metered link that is up is enough: nobody knows which one is taken. */
export function readMetering(text: string): LinkMetering {
  const up = text.split(/\n\s*\n/).filter((device) => /^GENERAL\.STATE:100/m.test(device));
  if (up.some((device) => /^GENERAL\.METERED:yes/m.test(device))) return 'metered';
  return up.some((device) => /^GENERAL\.METERED:no/m.test(device)) ? 'unmetered' : 'unknown';
}

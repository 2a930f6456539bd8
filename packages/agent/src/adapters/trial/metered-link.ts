import { execFile } from 'node:child_process';

/**
 * Whether NetworkManager takes a link that is up for metered, by itself or because it was told; false where it is not there.
 *
 * @see nm-settings-nmcli(5) GENERAL.METERED: yes, no, yes (guessed), no (guessed), unknown
 */
export function isLinkMetered(): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(
      'nmcli',
      ['-t', '-f', 'GENERAL.STATE,GENERAL.METERED', 'device', 'show'],
      { timeout: 5000, maxBuffer: 256 * 1024 },
      (error, stdout) => {
        resolve(error === null && readsAsMetered(stdout));
      },
    );
  });
}

/** Devices are told apart by empty lines; 100 is "connected". */
export function readsAsMetered(text: string): boolean {
  const devices = text.split(/\n\s*\n/);
  return devices.some((device) => /^GENERAL\.STATE:100/m.test(device) && /^GENERAL\.METERED:yes/m.test(device));
}

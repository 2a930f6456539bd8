import type { ServerConfig } from './config.ts';

const ANY = ['0.0.0.0', '::', ''];
const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** How programs on this machine reach a listener: an address that means "all" becomes loopback. */
export function localUrl(scheme: 'http' | 'https', host: string, port: number): string {
  return `${scheme}://${bracketed(ANY.includes(host) ? '127.0.0.1' : host)}:${port}`;
}

/** How devices reach the device port: the first advertised name, else as local programs do. */
export function deviceUrl(config: Pick<ServerConfig, 'advertise' | 'deviceHost'>, port: number): string {
  const [advertised] = config.advertise;
  return advertised === undefined ? localUrl('https', config.deviceHost, port) : `https://${bracketed(advertised)}:${port}`;
}

import { AppError } from '@selvedge/contract';

/** `https://host:port`, port 7443 when none is given. */
export function parseServerUrl(text: string): { host: string; port: number } {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.protocol !== 'https:' || url.hostname === '' || url.username !== '') {
    throw new AppError('USAGE', { message: `"${text}" is not the address of a device port.`, hint: 'It looks like https://server:7443.' });
  }
  // The standard https port vanishes from a parsed URL, so the text decides whether one was given.
  const hasPort = /^https:\/\/[^/?#]*:\d+($|[/?#])/.test(text);
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? (hasPort ? 443 : 7443) : Number(url.port) };
}

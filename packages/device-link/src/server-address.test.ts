import { describe, expect, it } from 'vitest';
import { parseServerUrl } from './server-address.ts';

describe('parseServerUrl', () => {
  it('takes 7443 where no port is given', () => {
    expect(parseServerUrl('https://server')).toEqual({ host: 'server', port: 7443 });
    expect(parseServerUrl('https://server/')).toEqual({ host: 'server', port: 7443 });
    expect(parseServerUrl('https://server:443')).toEqual({ host: 'server', port: 443 });
    expect(parseServerUrl('https://[::1]:9000')).toEqual({ host: '::1', port: 9000 });
    expect(parseServerUrl('https://[::1]')).toEqual({ host: '::1', port: 7443 });
  });

  it('refuses everything else', () => {
    for (const text of ['http://server:7443', 'server:7443', '', 'https://', 'https://user@server'])
      expect(() => parseServerUrl(text), text).toThrow(/not the address/);
  });
});

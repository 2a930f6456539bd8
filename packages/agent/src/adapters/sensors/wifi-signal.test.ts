import { expect, it } from 'vitest';
import { parseWireless } from './wifi-signal.ts';

const HEAD = `Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
`;

it('reads the signal of the best wireless interface, and none where there is none or its driver does not know dBm', () => {
  expect(parseWireless(`${HEAD} wlan0: 0000   54.  -56.  -256        0      0      0      0     12        0\n`)).toBe(-56);
  expect(parseWireless(`${HEAD} wlan0: 0000   20.  -81.  -256  0\nwlp3s0: 0000   60.  -47.  -256  0\n`)).toBe(-47);
  expect(parseWireless(`${HEAD} wlan0: 0000   54.  70.  0        0\n`)).toBeNull();
  expect(parseWireless(`${HEAD} wlan0: 0000   0.  -256.  -256        0\n`)).toBeNull();
  expect(parseWireless(HEAD)).toBeNull();
});

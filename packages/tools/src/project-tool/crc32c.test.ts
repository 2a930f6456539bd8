import { crc32c as native } from '@node-rs/crc32';
import fc from 'fast-check';
import { it } from 'vitest';
import { crc32c } from './crc32c.ts';

it('gives what the native one gives', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => crc32c(bytes) === native(Buffer.from(bytes))));
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MqttPacketLimit } from './mqtt-packet-limit.ts';

function packet(bodyBytes: number): Uint8Array {
  const head = [0x30];
  let left = bodyBytes;
  do {
    head.push((left % 128) | (left >= 128 ? 0x80 : 0));
    left = Math.floor(left / 128);
  } while (left > 0);
  return new Uint8Array([...head, ...new Uint8Array(bodyBytes).fill(0xff)]);
}

function feed(limit: MqttPacketLimit, stream: Uint8Array, cuts: readonly number[]): boolean {
  let offset = 0;
  for (const cut of [...cuts, stream.byteLength]) {
    if (!limit.accept(stream.subarray(offset, offset + cut))) return false;
    offset += cut;
  }
  return true;
}

describe('MqttPacketLimit', () => {
  it('lets through exactly the streams whose packets all fit, however they are cut', () => {
    const sizes = fc.array(fc.nat(400), { maxLength: 8 });
    fc.assert(
      fc.property(sizes, fc.array(fc.integer({ min: 1, max: 300 })), fc.nat(400), (bodies, cuts, maxBytes) => {
        const stream = new Uint8Array(bodies.flatMap((body) => [...packet(body)]));
        expect(feed(new MqttPacketLimit(maxBytes), stream, cuts)).toBe(bodies.every((body) => body <= maxBytes));
      }),
    );
  });

  it('refuses a length of more than four bytes', () => {
    expect(new MqttPacketLimit(2 ** 40).accept(new Uint8Array([0x30, 0x80, 0x80, 0x80, 0x80, 0x01]))).toBe(false);
  });
});

import { Mismatch } from '../mismatch.ts';

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value >>> 0;
});

function maskedCrc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) crc = (TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/**
 * The records of a TensorBoard event file, every checksum looked at.
 *
 * @see https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
 * @throws Mismatch at the first fault.
 */
export function readEventRecords(bytes: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const fault = (what: string) => new Mismatch('a TensorBoard event file', `${what} at byte ${at}`);
    if (at + 16 > bytes.length) throw fault('a record that is cut short');
    if (bytes.readUInt32LE(at + 8) !== maskedCrc32c(bytes.subarray(at, at + 8))) throw fault('a wrong checksum of a length');
    const end = at + 12 + Number(bytes.readBigUInt64LE(at));
    if (end + 4 > bytes.length) throw fault('a record that is cut short');
    const data = bytes.subarray(at + 12, end);
    if (bytes.readUInt32LE(end) !== maskedCrc32c(data)) throw fault('a wrong checksum of data');
    records.push(data);
    at = end + 4;
  }
  return records;
}

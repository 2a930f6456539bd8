import { crc32c } from '@node-rs/crc32';

/** Bytes around the data of one record: its length (8), the length's checksum (4), the data's checksum (4). */
const HEADER_BYTES = 12;
const TRAILER_BYTES = 4;
/** A longer length is taken for damage: nothing that is written here comes near it. */
const MAX_RECORD_BYTES = 64 * 1024 * 1024;

/** A checksum of data that itself holds checksums says little, so the format rotates each and adds a constant. */
function maskedCrc32c(data: Uint8Array): number {
  const crc = crc32c(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/**
 * One record of a TFRecord file: uint64 length, masked CRC-32C of the length, data, masked CRC-32C of the data; all
 * little-endian.
 *
 * @see https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
 */
export function frameRecord(data: Uint8Array): Buffer {
  const record = Buffer.alloc(HEADER_BYTES + data.length + TRAILER_BYTES);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(maskedCrc32c(record.subarray(0, 8)), 8);
  record.set(data, HEADER_BYTES);
  record.writeUInt32LE(maskedCrc32c(data), HEADER_BYTES + data.length);
  return record;
}

/**
 * The records of a file up to the first that is cut short or damaged.
 *
 * @returns the data of each (sharing memory with `bytes`), and how many bytes of the file they take.
 */
export function readRecords(bytes: Buffer): { records: Buffer[]; validBytes: number } {
  const records: Buffer[] = [];
  let position = 0;
  while (position + HEADER_BYTES <= bytes.length) {
    const lengthField = bytes.subarray(position, position + 8);
    const length = Number(lengthField.readBigUInt64LE());
    if (bytes.readUInt32LE(position + 8) !== maskedCrc32c(lengthField) || length > MAX_RECORD_BYTES) break;
    const begin = position + HEADER_BYTES;
    const end = begin + length;
    if (end + TRAILER_BYTES > bytes.length) break;
    const data = bytes.subarray(begin, end);
    if (bytes.readUInt32LE(end) !== maskedCrc32c(data)) break;
    records.push(data);
    position = end + TRAILER_BYTES;
  }
  return { records, validBytes: position };
}

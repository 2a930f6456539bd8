const CONTINUATION = 0x80;
/** The remaining length takes at most four bytes. */
const MAX_LENGTH_BYTES = 4;

/**
 * Follows the packet boundaries of an MQTT byte stream without keeping any of it, so that a packet that is too large is
 * known by its header, before anything has buffered its body.
 *
 * @see MQTT 3.1.1, section 2.2.3
 */
export class MqttPacketLimit {
  /** Largest remaining length in bytes; may be raised once the sender is known. */
  maxBytes: number;
  #bodyLeft = 0;
  /** Bytes of the remaining length read so far; undefined while the next byte is a packet's first. */
  #lengthBytes: number | undefined;
  #length = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** @returns false when a packet is larger than allowed or its length is malformed; the stream is then to be closed. */
  accept(chunk: Uint8Array): boolean {
    let offset = 0;
    while (offset < chunk.byteLength) {
      if (this.#bodyLeft > 0) {
        const skipped = Math.min(this.#bodyLeft, chunk.byteLength - offset);
        this.#bodyLeft -= skipped;
        offset += skipped;
        continue;
      }
      const byte = chunk[offset] ?? 0;
      offset += 1;
      if (this.#lengthBytes === undefined) {
        this.#lengthBytes = 0;
        this.#length = 0;
      } else if (!this.#acceptLengthByte(byte)) return false;
    }
    return true;
  }

  #acceptLengthByte(byte: number): boolean {
    const index = this.#lengthBytes ?? 0;
    this.#length += (byte & ~CONTINUATION) * 128 ** index;
    this.#lengthBytes = index + 1;
    if (this.#length > this.maxBytes) return false;
    if ((byte & CONTINUATION) !== 0) return this.#lengthBytes < MAX_LENGTH_BYTES;
    this.#bodyLeft = this.#length;
    this.#lengthBytes = undefined;
    return true;
  }
}

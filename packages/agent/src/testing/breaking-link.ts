import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { sha256Hex } from '@selvedge/runtime';
import type { TransferLinkOptions } from '../adapters/files/transfer-link.ts';

/** A server that files come from and go to, over a link that breaks where a test says. */
export class BreakingLink implements Pick<TransferLinkOptions, 'openBlob' | 'sentBytes' | 'sendPart'> {
  readonly #blobs = new Map<string, Buffer>();
  /** Where each download began. */
  offsets: number[] = [];
  /** Bytes after which a transfer breaks off, one by one. */
  cuts: number[] = [];
  /** What has come in. */
  sent = Buffer.alloc(0);
  /** Called when a part is about to be sent. */
  beforeSend: () => Promise<void> = async () => undefined;

  /** What the server has from now on. */
  offer(content: Buffer): { sha256: string; sizeBytes: number } {
    const sha256 = sha256Hex(content);
    this.#blobs.set(sha256, content);
    return { sha256, sizeBytes: content.byteLength };
  }

  readonly openBlob: TransferLinkOptions['openBlob'] = async (sha256, offset) => {
    this.offsets.push(offset);
    const blob = this.#blobs.get(sha256);
    if (blob === undefined) return { status: 404, headers: {}, body: Readable.from([]) };
    const cut = this.cuts.shift();
    async function* content() {
      yield blob?.subarray(offset, cut === undefined ? undefined : offset + cut) ?? Buffer.alloc(0);
      if (cut !== undefined) throw new Error('the link was cut');
    }
    return { status: offset === 0 ? 200 : 206, headers: {}, body: Readable.from(content()) };
  };

  readonly sentBytes: TransferLinkOptions['sentBytes'] = async () => this.sent.byteLength;

  readonly sendPart: TransferLinkOptions['sendPart'] = async (_operation, { content }) => {
    await this.beforeSend();
    const cut = this.cuts.shift();
    const bytes = await buffer(content);
    this.sent = Buffer.concat([this.sent, bytes.subarray(0, cut)]);
    if (cut !== undefined) throw new Error('the link was cut');
  };
}

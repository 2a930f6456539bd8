import { AppError } from '@selvedge/contract';
import { Decompress } from 'fzstd';
import { FrameWalker } from './frame-walker.ts';

/**
 * Decompresses concatenated zstd frames as one stream, block by block: what is held at a time is a window (32 MiB at
 * most) and a block, whatever the input.
 *
 * @throws AppError ARCHIVE_UNSAFE (user) when it is not zstd or needs more than that.
 */
export async function* decompressZstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const walker = new FrameWalker();
  let ready: Uint8Array[] = [];
  const decompressor = new Decompress((chunk) => {
    if (chunk.length > 0) ready.push(chunk);
  });
  const push = (piece: Uint8Array, isLast: boolean): Uint8Array[] => {
    ready = [];
    try {
      decompressor.push(piece, isLast);
    } catch (cause) {
      throw new AppError('ARCHIVE_UNSAFE', { message: 'The archive cannot be decompressed: it is damaged or cut off.' }, { cause });
    }
    return ready;
  };
  for await (const chunk of source) {
    for (const piece of walker.pieces(chunk)) yield* push(piece, false);
  }
  walker.end();
  yield* push(new Uint8Array(0), true);
}

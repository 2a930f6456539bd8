import { ReadableStream } from 'node:stream/web';
import { createGunzip } from 'node:zlib';
import { AppError } from '@selvedge/contract';

const SLICE_BYTES = 256 * 1024;

function* slices(data: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < data.length; at += SLICE_BYTES) yield data.subarray(at, at + SLICE_BYTES);
}

type XzStream = new (source: ReadableStream<Uint8Array>) => ReadableStream<Uint8Array>;

async function* unxz(data: Uint8Array): AsyncGenerator<Uint8Array> {
  // A CommonJS package: Node shows its class below `default`, a bundler beside it.
  const loaded: { XzReadableStream?: unknown; default?: { XzReadableStream?: unknown } } = await import('xz-decompress');
  const Stream = (loaded.XzReadableStream ?? loaded.default?.XzReadableStream) as XzStream;
  const source = slices(data);
  const compressed = new ReadableStream<Uint8Array>({
    pull(controller) {
      const { value, done } = source.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
  });
  yield* new Stream(compressed);
}

async function* unzstd(data: Uint8Array): AsyncGenerator<Uint8Array> {
  const { Decompress } = await import('fzstd');
  const ready: Uint8Array[] = [];
  const decoder = new Decompress((chunk) => void ready.push(chunk));
  for (const slice of slices(data)) {
    decoder.push(slice);
    yield* ready.splice(0);
  }
  decoder.push(new Uint8Array(0), true);
  yield* ready.splice(0);
}

async function* gunzip(data: Uint8Array): AsyncGenerator<Uint8Array> {
  const decoder = createGunzip();
  decoder.end(data);
  yield* decoder;
}

const DECODERS: Readonly<Record<string, (data: Uint8Array) => AsyncGenerator<Uint8Array>>> = { xz: unxz, zst: unzstd, gz: gunzip };

/**
 * Decompresses by the ending of a file's name: `.xz`, `.zst`, `.gz`; any other is passed through.
 *
 * @throws AppError ARCHIVE_UNSAFE (user) for damaged data, and for more than `maxBytes`.
 */
export async function* decompress(name: string, data: Uint8Array, maxBytes: number): AsyncGenerator<Uint8Array> {
  const decoder = DECODERS[/\.(\w+)$/.exec(name)?.[1] ?? ''];
  if (decoder === undefined) {
    yield data;
    return;
  }
  let size = 0;
  try {
    for await (const chunk of decoder(data)) {
      size += chunk.length;
      if (size > maxBytes) throw new AppError('ARCHIVE_UNSAFE', { message: `${name} unpacks to more than ${maxBytes} bytes.` });
      yield chunk;
    }
  } catch (error) {
    if (error instanceof AppError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError('ARCHIVE_UNSAFE', { message: `${name} cannot be decompressed: ${reason.slice(0, 200)}` }, { cause: error });
  }
}

/** Decompresses text as a whole. */
export async function decompressText(name: string, data: Uint8Array, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of decompress(name, data, maxBytes)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

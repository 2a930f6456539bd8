const LEVEL = 9;
/** The compressor's WebAssembly has memory for little more; longer input becomes several frames. */
const FRAME_BYTES = 512 * 1024;

type Library = typeof import('@bokuweb/zstd-wasm');

/** The library is one for the process and spoils its memory when it is initialised twice. */
const library: { loading?: Promise<Library> } = {};

/** Loaded when it is needed: it costs a few megabytes of memory that only a finished build wants. */
async function load(): Promise<Library> {
  const loaded = await import('@bokuweb/zstd-wasm');
  await loaded.init();
  return loaded;
}

/** zstd frames of these bytes, small ones. The same bytes give the same frames. */
export async function compressSmall(bytes: Uint8Array): Promise<Buffer> {
  library.loading ??= load();
  const { compress } = await library.loading;
  const frames: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += FRAME_BYTES) frames.push(compress(bytes.subarray(at, at + FRAME_BYTES), LEVEL));
  return Buffer.concat(frames);
}

export { createNpy, type NpyReader, type NpyWriter, openNpy } from './npy-file.ts';
export { decodeNpyHeader, encodeNpyHeader, MAX_HEADER_BYTES, type NpyType, parseNpyHeader } from './npy-header.ts';

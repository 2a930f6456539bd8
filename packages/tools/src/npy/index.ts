export { createNpy, type NpyReader, type NpyWriter, openNpy } from './npy-file.ts';
export { decodeNpyHeader, encodeNpyHeader } from './npy-header.ts';

const SIGNATURES: readonly { type: string; bytes: readonly number[]; at: number }[] = [
  { type: 'image/jpeg', bytes: [0xff, 0xd8, 0xff], at: 0 },
  { type: 'image/png', bytes: [0x89, 0x50, 0x4e, 0x47], at: 0 },
  { type: 'image/gif', bytes: [0x47, 0x49, 0x46, 0x38], at: 0 },
  { type: 'image/bmp', bytes: [0x42, 0x4d], at: 0 },
  { type: 'image/webp', bytes: [0x57, 0x45, 0x42, 0x50], at: 8 },
  { type: 'image/tiff', bytes: [0x49, 0x49, 0x2a, 0x00], at: 0 },
  { type: 'image/tiff', bytes: [0x4d, 0x4d, 0x00, 0x2a], at: 0 },
];

/** Media type of a picture by its first bytes, whatever its name says; undefined when it is no picture that is known. */
export function pictureType(content: Uint8Array): string | undefined {
  return SIGNATURES.find(({ bytes, at }) => bytes.every((byte, index) => content[at + index] === byte))?.type;
}

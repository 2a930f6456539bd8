import { halfBits } from './half-precision.ts';

/** Where tensors begin is a multiple of this; the header is filled up with spaces. */
const ALIGNMENT = 8;

/** One tensor of a golden sample, row-major. */
export interface GoldenTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** One input and the raw output that the model gives for it. */
export interface Golden {
  /** `isHalf`: every value is one that half precision holds. */
  readonly input: GoldenTensor & { readonly isHalf: boolean };
  readonly output: GoldenTensor;
  /** Largest allowed absolute difference of an output value. */
  readonly tolerance: number;
}

function tensorBytes(data: Float32Array, isHalf: boolean): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(data.length * (isHalf ? 2 : 4)));
  data.forEach((value, index) => {
    if (isHalf) bytes.setUint16(index * 2, halfBits(value), true);
    else bytes.setFloat32(index * 4, value, true);
  });
  return new Uint8Array(bytes.buffer);
}

/**
 * The golden sample as a safetensors file: tensors `input/NAME` (F16 or F32) and `output/NAME` (F32), and the metadata
 * `tolerance`, the largest allowed absolute difference of an output value. Binary because a picture has hundreds of
 * thousands of values, and this format because Python and Rust read it with one call.
 *
 * @see https://github.com/huggingface/safetensors#format
 */
export function writeGoldenFile({ input, output, tolerance }: Golden): Uint8Array {
  const tensors = [
    { name: `input/${input.name}`, shape: input.shape, dtype: input.isHalf ? 'F16' : 'F32', bytes: tensorBytes(input.data, input.isHalf) },
    { name: `output/${output.name}`, shape: output.shape, dtype: 'F32', bytes: tensorBytes(output.data, false) },
  ];
  const header: Record<string, unknown> = { __metadata__: { tolerance: String(tolerance) } };
  let end = 0;
  // The wider type first: then it is aligned whatever the count of the other.
  for (const { name, shape, dtype, bytes } of tensors.reverse()) {
    header[name] = { dtype, shape, data_offsets: [end, end + bytes.length] };
    end += bytes.length;
  }
  const text = Buffer.from(JSON.stringify(header));
  const padding = Buffer.alloc((ALIGNMENT - (text.length % ALIGNMENT)) % ALIGNMENT, ' ');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length + padding.length));
  return Buffer.concat([length, text, padding, ...tensors.map(({ bytes }) => bytes)]);
}

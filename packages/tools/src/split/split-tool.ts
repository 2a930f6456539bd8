import { splitBlockSchema, type TensorSet } from '@selvedge/contract';
import { tensorExample } from '../examples/tensor-example.ts';
import { defineTool } from '../kit/index.ts';
import { chooseHoldOut } from '../sampling/hold-out.ts';
import { openSplit, readTensorSetInfo } from '../tensor-set/tensor-set-reader.ts';
import { TensorSetWriter } from '../tensor-set/tensor-set-writer.ts';

/** Share of the training data kept for validation where the pipeline says nothing. */
const DEFAULT_VALIDATION = 0.1;

/** Rows that are copied at once, in values: 4 MB. */
const CHUNK_VALUES = 1024 * 1024;

/** Divides the training data into training and validation; the test data goes through unchanged. */
export const splitTool = defineTool({
  name: 'split',
  description: 'Keeps a seeded share of each class of the training data for validation',
  class: 'data',
  makes: 'training-set',
  parameters: splitBlockSchema,
  inputs: { tensors: 'tensors made by the export tool' },
  example: async () => ({
    parameters: { validation: 0.25, seed: 1 },
    inputs: { tensors: await tensorExample('CHW', [1, 4, 4], { train: 8, test: 4 }) },
  }),
  async create({ parameters, inputs, dataDir, signal, log, progress }) {
    const { validation = DEFAULT_VALIDATION, seed = 0 } = parameters;
    const info = await readTensorSetInfo(inputs.tensors);
    const writer = new TensorSetWriter(dataDir, info);
    const copy = (source: string, target: string, rows: Int32Array) =>
      copyRows({ folder: inputs.tensors, info, source, target, rows, writer, signal });
    try {
      const labels = await readLabels(inputs.tensors, info, 'train');
      const candidates = Array.from(labels, (label, row) => ({ key: String(row), label }));
      const held = chooseHoldOut(candidates, validation, seed);
      const rows = Int32Array.from(labels.keys());
      await copy(
        'train',
        'train',
        rows.filter((row) => !held.has(String(row))),
      );
      progress(0.6, 'Training data copied');
      await copy(
        'train',
        'validation',
        rows.filter((row) => held.has(String(row))),
      );
      progress(0.7, 'Validation data copied');
      const { count = 0 } = info.splits.test ?? {};
      await copy(
        'test',
        'test',
        Int32Array.from({ length: count }, (_, row) => row),
      );
      await writer.writeInfo();
      log(`train ${labels.length - held.size}, validation ${held.size}, test ${count} (seed ${seed})`);
    } finally {
      await writer.release();
    }
  },
});

async function readLabels(folder: string, info: TensorSet, split: string): Promise<Int32Array> {
  const reader = await openSplit(folder, info, split);
  return reader.readLabels().finally(() => reader.close());
}

interface CopyOptions {
  readonly folder: string;
  readonly info: TensorSet;
  readonly source: string;
  readonly target: string;
  /** Ascending. */
  readonly rows: Int32Array;
  readonly writer: TensorSetWriter;
  readonly signal: AbortSignal;
}

async function copyRows({ folder, info, source, target, rows, writer, signal }: CopyOptions): Promise<void> {
  const reader = await openSplit(folder, info, source);
  const chunkRows = Math.max(1, Math.floor(CHUNK_VALUES / Math.max(1, reader.x.rowLength)));
  try {
    await writer.writeSplit(target, rows.length, async (add) => {
      for (let at = 0; at < rows.length; ) {
        signal.throwIfAborted();
        // Neighbouring rows are read at once.
        const first = rows[at] ?? 0;
        let length = 1;
        while (length < chunkRows && rows[at + length] === first + length) length += 1;
        await add(await reader.x.readRows(first, length), await reader.y.readRows(first, length));
        at += length;
      }
    });
  } finally {
    await reader.close();
  }
}

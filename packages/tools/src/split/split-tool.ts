import { splitBlockSchema, type TensorSet } from '@selvedge/contract';
import { tensorExample } from '../examples/tensor-example.ts';
import { defineTool } from '../kit/index.ts';
import { divide } from '../sampling/divide.ts';
import { chooseHoldOut } from '../sampling/hold-out.ts';
import { copyRows } from '../tensor-set/copy-rows.ts';
import { hasBoxes, hasGroups, openSplit, readTensorSetInfo } from '../tensor-set/tensor-set-reader.ts';
import { BOX_VALUES, TensorSetWriter } from '../tensor-set/tensor-set-writer.ts';

/** Share of the training data kept for validation where the pipeline says nothing. */
const DEFAULT_VALIDATION = 0.1;

/** Divides the training data into training and validation; the test data goes through unchanged. */
export const splitTool = defineTool({
  name: 'split',
  description: 'Keeps a seeded share of each class of the training data for validation, groups undivided',
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
    const writer = new TensorSetWriter(dataDir, { ...info, hasBoxes: hasBoxes(info), hasGroups: hasGroups(info) });
    const copy = async (source: string, target: string, rows: Int32Array) => {
      const reader = await openSplit(inputs.tensors, info, source);
      try {
        await writer.writeSplit(target, rows.length, (add) => copyRows(reader, rows, add, signal));
      } finally {
        await reader.close();
      }
    };
    try {
      const isHeld = await chooseValidation(inputs.tensors, info, validation, seed);
      const rows = Int32Array.from(isHeld.keys());
      const [train, held] = [rows.filter((row) => !isHeld[row]), rows.filter((row) => isHeld[row])];
      await copy('train', 'train', train);
      progress(0.6, 'Training data copied');
      await copy('train', 'validation', held);
      progress(0.7, 'Validation data copied');
      const { count = 0 } = info.splits.test ?? {};
      await copy(
        'test',
        'test',
        Int32Array.from({ length: count }, (_, row) => row),
      );
      await writer.writeInfo();
      log(`train ${train.length}, validation ${held.length}, test ${count} (seed ${seed})`);
    } finally {
      await writer.release();
    }
  },
});

/** Which training samples are kept for validation. */
async function chooseValidation(folder: string, info: TensorSet, share: number, seed: number): Promise<boolean[]> {
  const reader = await openSplit(folder, info, 'train');
  try {
    const groups = await reader.readGroups();
    if (groups === undefined && !reader.hasBoxes) {
      const labels = await reader.readLabels();
      const candidates = Array.from(labels, (label, row) => ({ key: String(row), label }));
      const held = chooseHoldOut(candidates, share, seed);
      return candidates.map(({ key }) => held.has(key));
    }
    const labels = reader.hasBoxes ? (await reader.readBoxes()).map(classesOf) : Array.from(await reader.readLabels(), (label) => [label]);
    if (share === 0) return labels.map(() => false);
    const samples = labels.map((each, row) => ({ group: String(groups?.[row] ?? row), labels: each }));
    return divide(samples, { train: 1 - share, validation: share }, seed).map((split) => split === 'validation');
  } finally {
    await reader.close();
  }
}

/** One class index per box. */
function classesOf(boxes: Float32Array): number[] {
  return Array.from({ length: boxes.length / BOX_VALUES }, (_, box) => boxes[box * BOX_VALUES] ?? 0);
}
